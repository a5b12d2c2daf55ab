use serde::{Deserialize, Serialize};

use super::{Allocator, Division, compete};
use crate::{options::Options, registry::Method};

/// All heads of all layers compete for the whole budget by their scores.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Global {
    /// The part of the average share that every head has for certain, 0..=1.
    safeguard: f64,
}

impl Options for Global {
    fn check(&self) -> Result<(), String> {
        super::check_part(self.safeguard)
    }
}

impl Method for Global {
    const NAME: &'static str = "global";
    const SOURCE: &'static str = "Feng et al. 2026 (Layer-DefensiveKV), repository FFY0/DefensiveKV; KVzip";
    const DESCRIPTION: &'static str = "all heads of all layers compete for the budget by score";
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
