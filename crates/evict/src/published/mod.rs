//! The three budget rules published as the "entropy-adaptive KV cache", as their code has
//! them. They disagree with each other, and none of them conserves the budget.
//!
//! Source: microsoft/BitNet pull request 497 (commit 6311866) and the study of GPT-2 by the
//! same author that came before it.

use crate::{Need, Observation, select};

mod entropy_global;
mod entropy_inverted;
mod entropy_proportional;

pub use entropy_global::{global_budget, importance};
pub use entropy_inverted::{inverted_budgets, inverted_range};
pub use entropy_proportional::proportional_budgets;

pub(crate) use entropy_global::EntropyGlobal;
pub(crate) use entropy_inverted::EntropyInverted;
pub(crate) use entropy_proportional::EntropyProportional;

/// `clamp(h / mean, 0.3, 2.5)`, by which two of the rules scale a head's budget. Where no
/// head has any entropy, all are average.
fn scale(entropy: f64, mean: f64) -> f64 {
    if mean > 0.0 { (entropy / mean).clamp(0.3, 2.5) } else { 1.0 }
}

/// What each query head keeps that has its part of the context, at least a token: the best of the last
/// query's own row.
fn best_of_rows(seen: &Observation<'_>, parts: Vec<f64>) -> Vec<Vec<u32>> {
    let count = |part: f64| (seen.shape.tokens as f64 * part).floor() as usize;
    let rows = seen.rows(Need::Window(1)).iter().zip(parts);
    rows.map(|(row, part)| select::best(row, count(part).max(1))).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
