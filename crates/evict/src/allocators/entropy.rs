//! The allocator `entropy`.

use crate::{Allocator, Division, EntropyPooling, Need};

method! {
    /// Gives tokens in proportion to the head's calibrated attention entropy: the weight is `H / mean(H)`.
    /// This is the published proportional rule without its clamp, and it conserves the budget.
    pub struct Entropy {
        /// How the entropies of a group's query heads are pooled for their KV head.
        pub group: EntropyPooling = EntropyPooling::Max,
    }
    needs(self) [Need::Entropy];
    "entropy" from "microsoft/BitNet pull request 497, made to conserve the budget",
    "Gives tokens in proportion to the calibrated attention entropy of the head.",
    formula: "In proportion to the calibrated entropy of the head.",
    differences: "The original clamps the shares and does not conserve the budget."
}

impl Allocator for Entropy {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        weights(division, self.group)
    }
}

/// Returns `H / mean(H)` for each KV head, or zeros if every entropy is zero.
pub(super) fn weights(division: &Division<'_>, group: EntropyPooling) -> Vec<f64> {
    let entropy = division.entropy(group);
    let mean = entropy.iter().sum::<f64>() / entropy.len() as f64;
    let weight = |h: f64| if mean > 0.0 { h / mean } else { 0.0 };
    entropy.into_iter().map(weight).collect()
}
