//! What rows of logits predict, and how far one prediction is from another: what a sweep computes of every cell.
//!
//! Logits are `[rows, classes]`. Exponentials and sums are in f64: a softmax's normaliser is off by less than 1e-12
//! nats, a divergence by less than 1e-11 times `1 + max |z_p - z_q|`. A row depends on nothing but itself and its
//! reference, every instruction set gives the same bits, and equal rows are exactly 0 apart.

mod exp2;
mod row;

use rayon::prelude::*;

use row::{compare, summarise};

/// What one row of finite logits predicts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The class with the largest logit, the lowest of equals.
    pub best: usize,
    /// That logit.
    pub peak: f32,
    /// `ln sum exp(z - peak)`, in nats. Apart from the peak, whose digits it would lose.
    pub log_sum: f64,
}

/// A prediction beside the one it is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Divergence {
    /// The prediction itself.
    pub prediction: Prediction,
    /// Kullback-Leibler divergence of this prediction from the reference, `sum_v p_v ln (p_v / q_v)` with p the
    /// reference, in nats. Not clipped: where both are all but equal, rounding may leave it a little below 0.
    pub kl: f64,
}

impl Prediction {
    /// Negative log-likelihood in nats of the class whose logit is `logit`.
    pub fn nll(&self, logit: f32) -> f64 {
        self.log_sum - (f64::from(logit) - f64::from(self.peak))
    }
}

/// What each row of `logits` predicts; `None` for a row that holds a NaN or an infinity.
///
/// # Panics
/// When `logits` are no whole rows of `classes`, of which there is at least one.
pub fn predictions(logits: &[f32], classes: usize) -> Vec<Option<Prediction>> {
    assert!(classes > 0 && logits.len().is_multiple_of(classes), "logits are whole rows of {classes}");
    logits.par_chunks_exact(classes).with_min_len(rows_of_a_task(classes)).map(summarise).collect()
}

/// Compares each row of several `others` with the same row of `reference`, of which [`predictions`] made `predicted`:
/// for each of `others` its rows, `None` where a row or its reference holds a NaN or an infinity.
///
/// Each row of the reference is read once for all others.
///
/// # Panics
/// When the slices do not hold the same number of whole rows of `classes`.
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
    let of_row = |row: usize| {
        let part = row * classes..(row + 1) * classes;
        let others: Vec<&[f32]> = others.iter().map(|logits| &logits[part.clone()]).collect();
        match &predicted[row] {
            Some(predicted) => compare(&reference[part], predicted, &others),
            None => vec![None; others.len()],
        }
    };
    let by_row: Vec<_> =
        (0..rows).into_par_iter().with_min_len(rows_of_a_task(classes)).map(of_row).collect();
    (0..others.len()).map(|other| by_row.iter().map(|row| row[other]).collect()).collect()
}

/// Enough rows that the scheduler's part stays small.
fn rows_of_a_task(classes: usize) -> usize {
    const CLASSES: usize = 1 << 15;
    CLASSES.div_ceil(classes)
}

#[cfg(test)]
mod tests;
