//! The allocator `global`.

use super::compete;
use crate::{Allocator, Division, checks};

method! {
    /// All heads of all layers compete for the whole budget by score.
    pub struct Global {
        /// The fraction of the average share that every head keeps in any case, 0..=1.
        pub safeguard: f64 = 0.0 => checks::fraction,
    }
    "global" from "Feng et al. 2026 (Layer-DefensiveKV), repository FFY0/DefensiveKV; KVzip",
    "Lets all heads of all layers compete for the budget by score.",
    formula: "The number of the best-scored tokens of all layers that the head holds."
}

impl Allocator for Global {
    fn compares(&self) -> bool {
        true
    }

    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let safe = (division.average_tokens().floor() * self.safeguard) as usize;
        let won = compete::tokens_won(division.scores, division.total, safe);
        won.into_iter().map(|won| won as f64).collect()
    }
}
