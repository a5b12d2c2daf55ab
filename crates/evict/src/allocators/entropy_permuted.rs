//! The allocator `entropy-permuted`.

use bitkv_stats::Rng;

use super::entropy;
use crate::{Allocator, Division, Group, Need};

method! {
    /// Gives each head the weight that `entropy` computes for another head. If a gain survives this, it comes
    /// from unequal shares and not from knowing which head is which.
    pub struct EntropyPermuted {
        /// How the entropies of a group's query heads become one.
        pub group: Group = Group::Max,
        /// Which permutation.
        pub seed: u64 = 0,
    }
    needs(self) [Need::Entropy];
    "entropy-permuted" from "control of this suite",
    "the shares of `entropy`, every one dealt to a wrong head", role: Control,
    formula: "those of `entropy`, each dealt to another head"
}

impl Allocator for EntropyPermuted {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let mut weights = entropy::weights(division, self.group);
        Rng::new(self.seed).displace(&mut weights);
        weights
    }
}
