//! The allocator `global`.

use super::compete;
use crate::{Allocator, Division, checks};

method! {
    /// All heads of all layers compete for the whole budget by score.
    pub struct Global {
        /// The part of the average share that every head has for certain, 0..=1.
        pub safeguard: f64 = 0.0 => checks::part,
    }
    "global" from "Feng et al. 2026 (Layer-DefensiveKV), repository FFY0/DefensiveKV; KVzip",
    "all heads of all layers compete for the budget by score",
    formula: "the best-scored tokens of all layers"
}

impl Allocator for Global {
    fn compares(&self) -> bool {
        true
    }

    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let safe = (division.tokens_a_head().floor() * self.safeguard) as usize;
        let won = compete::winners(division.scores, division.total, safe);
        won.into_iter().map(|won| won as f64).collect()
    }
}
