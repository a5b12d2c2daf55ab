//! Entropy, divergence and likelihood of extreme rows agree with a computation with 128 binary digits.

mod exact;

use bitkv_stats::{entropy_bits, kl_from_logits, nll_from_logits};
use exact::{extreme_row, is_close};
use proptest::prelude::*;

proptest! {
    #[test]
    fn likelihoods(row in extreme_row(17), target in 0..17usize) {
        let (found, exact) = (nll_from_logits(&row, target), exact::nll(&row, target));
        prop_assert!(is_close(found, exact, 1.0), "{found} for {exact}");
    }

    #[test]
    fn divergences(reference in extreme_row(17), other in extreme_row(17)) {
        let (found, exact) = (kl_from_logits(&reference, &other), exact::kl(&reference, &other));
        let scale = 1.0 + reference.iter().zip(&other).map(|(p, q)| f64::from((p - q).abs())).fold(0.0, f64::max);
        prop_assert!(is_close(found, exact, scale), "{found} for {exact}");
    }

    #[test]
    fn entropies(logits in extreme_row(33)) {
        let log_sum = exact::nll(&logits, 0) + f64::from(logits[0]);
        let row: Vec<f32> = logits.iter().map(|z| (f64::from(*z) - log_sum).exp() as f32).collect();
        let (found, exact) = (entropy_bits(&row), exact::entropy(&row));
        // Rounding a probability above 1 would make the entropy negative, and it is 0 then.
        prop_assert!(is_close(found, exact.max(0.0), 1.0), "{found} for {exact}");
    }
}

#[test]
fn the_ends_of_the_scale_are_exact() {
    let mut hot = vec![-1e4f32; 50];
    hot[7] = 1e4;
    assert_eq!((nll_from_logits(&hot, 7), nll_from_logits(&hot, 8)), (0.0, 2e4));
    assert_eq!(kl_from_logits(&hot, &hot), 0.0);
    let flat = vec![1e-45f32; 64];
    assert!((nll_from_logits(&flat, 3) - 64f64.ln()).abs() < 1e-15);
    assert!((kl_from_logits(&hot[..50], &flat[..50]) - 50f64.ln()).abs() < 1e-14);
    assert_eq!(entropy_bits(&[0.0, 1.0, 0.0]), 0.0);
    assert_eq!(entropy_bits(&[1.0 / 64.0; 64]), 6.0);
}
