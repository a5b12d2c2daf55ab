//! The allocator `effective-tokens`.

use crate::{Allocator, Division, Group, Need};

method! {
    /// In proportion to `2^H` of the head's calibrated entropy in bits: to how many tokens even
    /// attention of that entropy would go. The entropy is a mean over rows; the mean of `2^H` over
    /// them would be larger, the more so the more the rows differ.
    pub struct EffectiveTokens {
        /// How the entropies of a group's query heads become one.
        pub group: Group = Group::Max,
    }
    needs(self) [Need::Entropy];
    "effective-tokens" from "this suite: `entropy` in the unit that a budget has",
    "in proportion to 2^H, the tokens that even attention would go to",
    formula: "in proportion to `2^H` of the mean entropy `H`",
    differences: "the mean of `2^H` over rows would be larger"
}

impl Allocator for EffectiveTokens {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let entropy = division.entropy(self.group);
        // Beside the widest head, so that no power overflows.
        let widest = entropy.iter().copied().fold(0.0, f64::max);
        entropy.into_iter().map(|h| (h - widest).exp2()).collect()
    }
}
