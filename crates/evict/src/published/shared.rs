//! Functions that the published rules share.

use crate::{Need, Observation, select};

/// Returns the factor by which two of the rules scale the budget of a head:
/// `clamp(entropy / mean, 0.3, 2.5)`, or 1 if the mean entropy is 0.
pub(super) fn scale(entropy: f64, mean: f64) -> f64 {
    if mean > 0.0 { (entropy / mean).clamp(0.3, 2.5) } else { 1.0 }
}

/// Returns the positions with the highest attention in the row of the last query, ascending, for each query
/// head. A head keeps the fraction `parts[head]` of the context, and at least one token.
pub(super) fn best_of_rows(observation: &Observation<'_>, parts: Vec<f64>) -> Vec<Vec<u32>> {
    let count = |part: f64| (observation.shape.tokens as f64 * part).floor() as usize;
    let rows = observation.rows(Need::Window(1)).iter().zip(parts);
    rows.map(|(row, part)| select::best(row, count(part).max(1))).collect()
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
