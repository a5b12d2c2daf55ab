//! The allocator `entropy`.

use crate::{Allocator, Division, Group, Need};

method! {
    /// Gives tokens in proportion to the head's calibrated attention entropy: the weight is `H / mean(H)`.
    /// This is the published proportional rule without its clamp, and it conserves the budget.
    pub struct Entropy {
        /// How the entropies of a group's query heads become one.
        pub group: Group = Group::Max,
    }
    needs(self) [Need::Entropy];
    "entropy" from "microsoft/BitNet pull request 497, conserving",
    "more tokens to heads of high calibrated entropy, in proportion",
    formula: "in proportion to the entropy",
    differences: "without the clamps there, and conserving"
}

impl Allocator for Entropy {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        weights(division, self.group)
    }
}

/// `H / mean(H)` for each KV head, or all zero where every entropy is.
pub(super) fn weights(division: &Division<'_>, group: Group) -> Vec<f64> {
    let entropy = division.entropy(group);
    let mean = entropy.iter().sum::<f64>() / entropy.len() as f64;
    let weight = |h: f64| if mean > 0.0 { h / mean } else { 0.0 };
    entropy.into_iter().map(weight).collect()
}
