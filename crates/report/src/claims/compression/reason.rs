//! The statement on whether entropy is the reason for what entropy-adaptive budgets gain.

use super::{Cells, FEWEST_DRAWS, Quantity, Statement, times, too_few_draws};
use crate::claims::rule::all_below_zero;
use crate::claims::statement::{decided, missing, signed, untested, with_interval};
use crate::difference::Difference;
use bitkv_stats::Summary;

/// Budgets by entropy, uniform budgets, and the budgets by entropy given to other heads. All have the same
/// scorer.
pub(super) const POLICIES: [&str; 3] =
    ["entropy+window-attention", "uniform+window-attention", "entropy-permuted+window-attention"];

const REASON: &str = "All three policies use the window-attention scorer and keep the same number of entries. Permuted budgets are \
those of other heads, drawn at random; each text counts with the mean over all draws. Differences are paired over texts, \
and a negative one favours budgets by entropy.";

impl Cells<'_> {
    /// Returns the statement on whether entropy is the reason. It compares budgets by entropy with uniform
    /// and permuted budgets, at the same scorer and the same number of entries.
    pub(super) fn reason(&self, budget: f64) -> Statement {
        let times = times(budget);
        let text = format!("{}: budgets by entropy beat uniform and permuted budgets at {times}", self.model);
        let published = "claimed, not tested".to_owned();
        let [entropy, uniform, permuted] = POLICIES;
        let difference_from = |other| self.difference([entropy, other], budget, Quantity::KL);
        let (Some(from_uniform), Some(from_permuted)) = (difference_from(uniform), difference_from(permuted))
        else {
            return missing(&text, published);
        };
        let draws = self.differences_by_draw([entropy, permuted], budget, Quantity::KL);
        if draws.len() < FEWEST_DRAWS {
            let reason = too_few_draws(draws.len(), "random permutations of budgets");
            return untested(&text, published, reason);
        }
        let spread = Summary::new(&draws).map_or_else(String::new, |draws| {
            format!(" ({} draws: {} to {})", draws.count, signed(draws.min), signed(draws.max))
        });
        let measured = format!(
            "KL minus uniform: {}, lower on {}; KL minus permuted: {}{spread}, lower on {}",
            with_interval(&from_uniform.estimate, signed, "nats"),
            lower_on(&from_uniform),
            with_interval(&from_permuted.estimate, signed, "nats"),
            lower_on(&from_permuted),
        );
        let decision = all_below_zero(&[from_uniform.estimate, from_permuted.estimate]);
        decided(&text, published, measured, decision, REASON).decided_by(self.evidence(
            &POLICIES,
            &[budget],
            "text",
        ))
    }
}

/// Returns on how many texts the first policy is lower, such as `19 of 22 texts`.
fn lower_on(difference: &Difference) -> String {
    let lower = difference.values.iter().filter(|value| **value < 0.0).count();
    format!("{lower} of {} texts", difference.values.len())
}
