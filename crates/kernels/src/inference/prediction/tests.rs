use bitkv_stats::{argmax, kl_from_logits, nll_from_logits};
use proptest::prelude::*;

use super::*;

fn divergence(reference: &[f32], other: &[f32]) -> Option<Divergence> {
    let classes = reference.len();
    divergences(reference, &predictions(reference, classes), &[other], classes)[0][0]
}

#[test]
fn known_values() {
    let reference = [3f32.ln(), 0.0];
    let found = divergence(&reference, &[7.0, 7.0]).unwrap();
    let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
    assert!((found.kl - expected).abs() < 1e-7);
    assert_eq!((found.prediction.best, found.prediction.peak), (0, 7.0));
    assert!((found.prediction.nll(7.0) - 2f64.ln()).abs() < 1e-11);
}

#[test]
fn the_first_of_equal_peaks_is_the_best_wherever_it_stands() {
    for (classes, at) in [(1, 0), (40, 39), (1024, 1023), (1025, 1024), (5000, 2047), (5000, 17)] {
        let mut row = vec![-1.0; classes];
        row[at] = 2.0;
        row[classes - 1] = 2.0;
        assert_eq!(predictions(&row, classes)[0].unwrap().best, at, "{classes} {at}");
    }
}

#[test]
fn what_is_not_finite_predicts_nothing() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (classes, at) in [(1, 0), (20, 19), (3000, 0), (3000, 2999)] {
            let good = vec![1.0; classes];
            let mut row = good.clone();
            row[at] = bad;
            assert_eq!(predictions(&row, classes), [None], "{bad} at {at} of {classes}");
            assert_eq!(divergence(&good, &row), None);
            assert_eq!(divergence(&row, &good), None);
        }
    }
    assert!(predictions(&[], 5).is_empty());
}

#[test]
fn huge_logits_do_not_overflow() {
    let found = predictions(&[3e38, -3e38, 3e38, 1e4], 2);
    assert!(found[0].unwrap().nll(3e38).abs() < 1e-11);
    assert!(found[1].unwrap().log_sum.abs() < 1e-11);
    assert_eq!(divergence(&[3e38, -3e38], &[3e38, -3e38]).unwrap().kl, 0.0);
}

#[test]
fn what_is_added_to_all_logits_changes_nothing() {
    let row: Vec<f32> = (0..4000).map(|i| (i as f32 * 0.37).sin() * 8.0).collect();
    let raised: Vec<f32> = row.iter().map(|z| z + 64.0).collect();
    // The sums were rounded to f32.
    assert!(divergence(&row, &raised).unwrap().kl.abs() < 1e-10);
}

#[test]
#[should_panic(expected = "whole rows of 3")]
fn part_of_a_row_is_refused() {
    predictions(&[0.0; 4], 3);
}

/// Two rows of equal length that differ by up to `apart`.
fn pairs(apart: f32) -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    let length = prop_oneof![1usize..70, 1000usize..1100, 2000usize..2100];
    let rows = (length, -6..2).prop_flat_map(move |(length, scale)| {
        let difference = apart * 10f32.powi(scale);
        prop::collection::vec((-30.0..30.0f32, -difference..difference), length)
    });
    rows.prop_map(|pairs| pairs.into_iter().map(|(z, d)| (z, z + d)).unzip())
}

proptest! {
    #[test]
    fn agrees_with_the_definitions((reference, other) in pairs(1.0)) {
        let found = divergence(&reference, &other).unwrap();
        let furthest = reference.iter().zip(&other).map(|(p, q)| f64::from((p - q).abs())).fold(0.0, f64::max);
        let bound = 1e-11 * (1.0 + furthest);
        prop_assert!((found.kl - kl_from_logits(&reference, &other)).abs() < bound);
        prop_assert!(found.kl > -bound);
        prop_assert_eq!(Some(found.prediction.best), argmax(&other));
        for (target, &logit) in other.iter().enumerate() {
            prop_assert!((found.prediction.nll(logit) - nll_from_logits(&other, target)).abs() < 2e-12);
        }
        prop_assert_eq!(divergence(&reference, &reference).unwrap().kl, 0.0);
    }

    /// Rows and others side by side change nothing.
    #[test]
    fn many_are_each_alone((a, b) in pairs(1.0), (c, _) in pairs(1.0)) {
        let classes = a.len();
        let c: Vec<f32> = c.iter().copied().cycle().take(classes).collect();
        let reference = [&a[..], &b, &c].concat();
        let others = [[&b[..], &c, &a].concat(), [&c[..], &b, &c].concat()];
        let predicted = predictions(&reference, classes);
        let together = divergences(&reference, &predicted, &[&others[0], &others[1]], classes);
        for (other, together) in others.iter().zip(&together) {
            for (row, found) in together.iter().enumerate() {
                let part = row * classes..(row + 1) * classes;
                prop_assert_eq!(*found, divergence(&reference[part.clone()], &other[part]));
            }
            let alone = predictions(other, classes);
            for (found, alone) in together.iter().zip(alone) {
                prop_assert_eq!(found.unwrap().prediction, alone.unwrap());
            }
        }
    }
}
