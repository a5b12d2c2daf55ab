//! The allocator `entropy-permuted`.

use bitkv_stats::Rng;

use super::entropy;
use crate::{Allocator, Division, EntropyPooling, Need};

method! {
    /// Gives each head the weight that `entropy` computes for another head. If a gain survives this, it comes
    /// from unequal shares and not from knowing which head is which.
    pub struct EntropyPermuted {
        /// How the entropies of a group's query heads are pooled for their KV head.
        pub group: EntropyPooling = EntropyPooling::Max,
        /// The seed of the permutation.
        pub seed: u64 = 0,
    }
    needs(self) [Need::Entropy];
    "entropy-permuted" from "control of this suite",
    "Gives each head the share that `entropy` computes for another head, chosen at random.", role: Control,
    formula: "The share that `entropy` computes for another head, chosen at random."
}

impl Allocator for EntropyPermuted {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let mut weights = entropy::weights(division, self.group);
        Rng::new(self.seed).displace(&mut weights);
        weights
    }
}
