//! Predictions and divergences of extreme logits agree with a computation with 128 binary digits, with the
//! instruction set of this process.

#[path = "../../stats/tests/exact/mod.rs"]
mod exact;

use bitkv_kernels::prediction::{divergences, predictions};
use exact::{extreme_row, is_close};
use proptest::prelude::*;

/// More classes than a tile of the kernel has, so that its ends are covered.
const CLASSES: usize = 130;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_row_agrees(reference in extreme_row(CLASSES), other in extreme_row(CLASSES), target in 0..CLASSES) {
        let predicted = predictions(&reference, CLASSES);
        let found = divergences(&reference, &predicted, &[&other], CLASSES)[0][0].unwrap();
        let (nll, exact) = (found.prediction.nll(other[target]), exact::nll(&other, target));
        prop_assert!(is_close(nll, exact, 1.0), "NLL {nll} for {exact}");
        let exact = exact::kl(&reference, &other);
        let scale = 1.0 + reference.iter().zip(&other).map(|(p, q)| f64::from((p - q).abs())).fold(0.0, f64::max);
        prop_assert!(is_close(found.kl, exact, scale), "KL {} for {exact}", found.kl);
        let same = divergences(&other, &predictions(&other, CLASSES), &[&other], CLASSES)[0][0].unwrap();
        prop_assert_eq!(same.kl, 0.0);
    }
}
