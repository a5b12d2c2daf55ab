//! The metrics of compressed caches, as functions of plain slices. docs/METRICS.md describes how each can
//! mislead.
//!
//! [`Reference`] compares predictions with those of the full cache, [`answer_evicted`] and [`answer_heads`]
//! look at the tokens of an answer, and the other functions compare attention.
//! Every function returns NaN if there is nothing to average or if its inputs do not fit each other. Rows
//! refuse NaN, so a value that was not measured is never mistaken for a perfect one.

mod answers;
mod attention;
mod prediction;
mod quantiles;

pub use answers::{answer_evicted, answer_heads};
pub use attention::{attention_cosine, output_error, output_errors, retained_mass};
pub use bitkv_stats::{first_difference, matching_fraction};
pub use prediction::{Comparison, Reference};
pub use quantiles::KlQuantiles;

/// Returns the mean of values; NaN if there are no values.
fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0usize), |(sum, n), value| (sum + value, n + 1));
    sum / count as f64
}

/// Returns the mean of `value` over the pairs of two lists; NaN if the lists are empty or differ in length.
fn mean_over_pairs<A, B>(a: &[A], b: &[B], value: impl Fn(&A, &B) -> f64) -> f64 {
    if a.len() != b.len() {
        return f64::NAN;
    }
    mean(a.iter().zip(b).map(|(a, b)| value(a, b)))
}
