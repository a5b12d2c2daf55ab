//! The allocator `entropy-inverse`.

use crate::{Allocator, Division, EntropyPooling, Need};

/// Keeps the weight of a head of zero entropy finite: such a head gets at most eleven times the share of a
/// head of one bit.
const OFFSET_BITS: f64 = 0.1;

method! {
    /// Gives tokens in inverse proportion to the head's calibrated attention entropy: the weight is
    /// `1 / (H + 0.1)`, with `H` in bits. The published verification script has this sign, which is opposite
    /// to that of `entropy`.
    pub struct EntropyInverse {
        /// How the entropies of a group's query heads are pooled for their KV head.
        pub group: EntropyPooling = EntropyPooling::Max,
    }
    needs(self) [Need::Entropy];
    "entropy-inverse" from "control of this suite",
    "Gives more tokens to heads of low calibrated entropy, as 1 / (H + 0.1 bits).", role: Control,
    formula: "In proportion to 1 / (entropy + 0.1 bits)."
}

impl Allocator for EntropyInverse {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        division.entropy(self.group).into_iter().map(|h| 1.0 / (h + OFFSET_BITS)).collect()
    }
}
