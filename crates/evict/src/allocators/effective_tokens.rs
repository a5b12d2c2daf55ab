//! The allocator `effective-tokens`.

use crate::{Allocator, Division, EntropyPooling, Need};

method! {
    /// Gives tokens in proportion to `2^H`, where `H` is the head's calibrated attention entropy in bits.
    /// Attention that is spread evenly over `2^H` tokens has this entropy. `H` is a mean over attention rows;
    /// the mean of `2^H` over the rows would be larger, and the difference grows with the differences between
    /// the rows.
    pub struct EffectiveTokens {
        /// How the entropies of a group's query heads are pooled for their KV head.
        pub group: EntropyPooling = EntropyPooling::Max,
    }
    needs(self) [Need::Entropy];
    "effective-tokens" from "this suite: `entropy` in the unit of a budget, tokens",
    "Gives tokens in proportion to 2^H, the head's effective number of attended tokens.",
    formula: "In proportion to `2^H`, where `H` is the mean entropy of the head in bits.",
    differences: "The mean of `2^H` over attention rows would be larger."
}

impl Allocator for EffectiveTokens {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let entropy = division.entropy(self.group);
        // Entropies are taken relative to the largest one, so that no power overflows.
        let widest = entropy.iter().copied().fold(0.0, f64::max);
        entropy.into_iter().map(|h| (h - widest).exp2()).collect()
    }
}
