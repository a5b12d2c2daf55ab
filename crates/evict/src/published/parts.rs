//! What the published rules share.

use crate::{Need, Observation, select};

/// `clamp(h / mean, 0.3, 2.5)`, by which two of the rules scale a head's budget. Where no
/// head has any entropy, all are average.
pub(super) fn scale(entropy: f64, mean: f64) -> f64 {
    if mean > 0.0 { (entropy / mean).clamp(0.3, 2.5) } else { 1.0 }
}

/// What each query head keeps that has its part of the context, at least a token: the best of the last
/// query's own row.
pub(super) fn best_of_rows(seen: &Observation<'_>, parts: Vec<f64>) -> Vec<Vec<u32>> {
    let count = |part: f64| (seen.shape.tokens as f64 * part).floor() as usize;
    let rows = seen.rows(Need::Window(1)).iter().zip(parts);
    rows.map(|(row, part)| select::best(row, count(part).max(1))).collect()
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
