//! Predictions from logits, and divergences between predictions. A grid computes both for every cell.
//!
//! [`predictions`] summarises each row of logits; [`divergences`] compares rows with a reference. Logits are
//! `[rows, classes]`.
//!
//! Exponentials and sums are computed in f64. The error of a softmax normaliser is below 1e-12 nats, and the
//! error of a divergence is below 1e-11 times `1 + max |z_p - z_q|`, where `z_p` and `z_q` are the logits of
//! the two rows. The result of a row depends only on the row and its reference. Every instruction set gives
//! the same bits, and the divergence of equal rows is exactly 0.

mod exp2;
mod row;

use std::f64::consts::LOG2_E;

use exp2::exp2;
use rayon::prelude::*;
use row::{compare, summarise};

/// The summary of one row of finite logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The class with the largest logit, the lowest index on ties.
    pub best: usize,
    /// The largest logit.
    pub peak: f32,
    /// `ln sum exp(z - peak)`, in nats. It is stored separately from the peak, because their sum would lose
    /// precision.
    pub log_sum: f64,
}

/// A prediction and its divergence from a reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Divergence {
    /// The prediction itself.
    pub prediction: Prediction,
    /// Kullback-Leibler divergence of this prediction `q` from the reference `p`, `sum_v p_v ln (p_v / q_v)`,
    /// in nats. It is not clipped at 0: if the two are nearly equal, rounding may make it slightly negative.
    pub kl: f64,
}

impl Prediction {
    /// Returns the negative log-likelihood, in nats, of a class whose logit is `logit`.
    pub fn nll(&self, logit: f32) -> f64 {
        self.log_sum - (f64::from(logit) - f64::from(self.peak))
    }

    /// Returns the probability, 0..1, of a class whose logit is `logit`. Its relative error is below 2e-12.
    pub fn probability(&self, logit: f32) -> f64 {
        exp2(-self.nll(logit) * LOG2_E)
    }
}

/// Returns the prediction of each row of `logits`; `None` for a row that contains a NaN or an infinity.
///
/// # Panics
/// Panics if `classes` is 0 or `logits` does not hold whole rows of `classes`.
pub fn predictions(logits: &[f32], classes: usize) -> Vec<Option<Prediction>> {
    assert!(classes > 0 && logits.len().is_multiple_of(classes), "logits are whole rows of {classes}");
    logits.par_chunks_exact(classes).with_min_len(rows_per_task(classes)).map(summarise).collect()
}

/// Compares every row of each of the `others` with the same row of `reference`. Returns `[others][rows]`; an
/// entry is `None` if the row or its reference contains a NaN or an infinity.
///
/// `predicted` is the result of [`predictions`] for `reference`. Each row of the reference is read once for
/// all others.
///
/// # Panics
/// Panics if the slices do not hold the same number of whole rows of `classes`.
pub fn divergences(
    reference: &[f32],
    predicted: &[Option<Prediction>],
    others: &[&[f32]],
    classes: usize,
) -> Vec<Vec<Option<Divergence>>> {
    let rows = predicted.len();
    assert!(
        classes > 0 && others.iter().chain([&reference]).all(|logits| logits.len() == rows * classes),
        "all logits are {rows} rows of {classes}"
    );
    let compare_row = |row: usize| {
        let range = row * classes..(row + 1) * classes;
        let others: Vec<&[f32]> = others.iter().map(|logits| &logits[range.clone()]).collect();
        match &predicted[row] {
            Some(predicted) => compare(&reference[range], predicted, &others),
            None => vec![None; others.len()],
        }
    };
    let by_row: Vec<_> =
        (0..rows).into_par_iter().with_min_len(rows_per_task(classes)).map(compare_row).collect();
    (0..others.len()).map(|other| by_row.iter().map(|row| row[other]).collect()).collect()
}

/// Returns the smallest number of rows in a task. With fewer rows, scheduling would take a relevant share of
/// the time.
fn rows_per_task(classes: usize) -> usize {
    const CLASSES: usize = 1 << 15;
    CLASSES.div_ceil(classes)
}

#[cfg(test)]
mod tests {
    use bitkv_stats::{argmax, kl_from_logits, nll_from_logits};
    use proptest::prelude::*;

    use super::*;

    fn divergence(reference: &[f32], other: &[f32]) -> Option<Divergence> {
        let classes = reference.len();
        divergences(reference, &predictions(reference, classes), &[other], classes)[0][0]
    }

    #[test]
    fn a_divergence_computed_by_hand_matches() {
        let reference = [3f32.ln(), 0.0];
        let found = divergence(&reference, &[7.0, 7.0]).unwrap();
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((found.kl - expected).abs() < 1e-7);
        assert_eq!((found.prediction.best, found.prediction.peak), (0, 7.0));
        assert!((found.prediction.nll(7.0) - 2f64.ln()).abs() < 1e-11);
        assert!((found.prediction.probability(7.0) - 0.5).abs() < 1e-11);
    }

    #[test]
    fn the_first_of_equal_peaks_is_the_best() {
        for (classes, at) in [(1, 0), (40, 39), (1024, 1023), (1025, 1024), (5000, 2047), (5000, 17)] {
            let mut row = vec![-1.0; classes];
            row[at] = 2.0;
            row[classes - 1] = 2.0;
            assert_eq!(predictions(&row, classes)[0].unwrap().best, at, "{classes} {at}");
        }
    }

    #[test]
    fn rows_that_are_not_finite_have_no_prediction() {
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
    fn adding_a_constant_to_all_logits_changes_nothing() {
        let row: Vec<f32> = (0..4000).map(|i| (i as f32 * 0.37).sin() * 8.0).collect();
        let raised: Vec<f32> = row.iter().map(|z| z + 64.0).collect();
        // The raised logits were rounded to f32.
        assert!(divergence(&row, &raised).unwrap().kl.abs() < 1e-10);
    }

    #[test]
    #[should_panic(expected = "whole rows of 3")]
    fn a_partial_row_panics() {
        predictions(&[0.0; 4], 3);
    }

    /// Returns pairs of rows of equal length. Their logits differ by at most `10 * apart`.
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
        fn results_match_the_definitions((reference, other) in pairs(1.0)) {
            let found = divergence(&reference, &other).unwrap();
            let furthest = reference.iter().zip(&other).map(|(p, q)| f64::from((p - q).abs())).fold(0.0, f64::max);
            let bound = 1e-11 * (1.0 + furthest);
            prop_assert!((found.kl - kl_from_logits(&reference, &other)).abs() < bound);
            prop_assert!(found.kl > -bound);
            prop_assert_eq!(Some(found.prediction.best), argmax(&other));
            for (target, &logit) in other.iter().enumerate() {
                let nll = nll_from_logits(&other, target);
                prop_assert!((found.prediction.nll(logit) - nll).abs() < 2e-12);
                prop_assert!((found.prediction.probability(logit) - (-nll).exp()).abs() < 4e-12);
            }
            prop_assert_eq!(divergence(&reference, &reference).unwrap().kl, 0.0);
        }

        /// The result for a row does not depend on the other rows or on the other logits.
        #[test]
        fn many_rows_equal_each_row_alone((a, b) in pairs(1.0), (c, _) in pairs(1.0)) {
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
}
