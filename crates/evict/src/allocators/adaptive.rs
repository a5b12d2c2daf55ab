//! The allocator `adaptive`.

use bitkv_stats::apportion_within;
use serde::{Deserialize, Serialize};

use super::compete;
use crate::{Allocator, Division, checks};

/// How a head that wins few tokens is kept from losing all of them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Floor {
    /// Every head keeps its best tokens without competing for them: `safeguard` times the average share, as
    /// in kvpress.
    Safeguard,
    /// A share is `safeguard` times the average share, plus `1 - safeguard` times what the head would win if
    /// it competed for every token, as in the paper.
    Linear,
}

method! {
    /// The heads of a layer compete for the layer's tokens by score. Every layer gets the same budget.
    pub struct Adaptive {
        /// How a head is kept from losing all its tokens.
        pub floor: Floor = Floor::Safeguard,
        /// The fraction of the average share that a head keeps in any case, 0..=1.
        pub safeguard: f64 = 0.2 => checks::fraction,
    }
    "adaptive" from "Feng et al. 2024 (Ada-KV), arXiv:2407.11550",
    "Lets the heads of a layer compete for the layer's tokens by score.",
    formula: "The number of the layer's best-scored tokens that the head holds. `floor='safeguard'`: every \
         head keeps its best `safeguard` x `n` tokens in any case. `floor='linear'`: (1 - `safeguard`) x \
         what the head would win + `safeguard` x `n`.",
    differences: "`'linear'` is the paper's floor; `'safeguard'` is that of kvpress."
}

impl Allocator for Adaptive {
    fn compares(&self) -> bool {
        true
    }

    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let heads = division.observation.shape.kv_heads;
        let layers: Vec<&[Vec<f32>]> = division.scores.chunks(heads).collect();
        let held: Vec<usize> = layers.iter().map(|heads| heads.iter().map(Vec::len).sum()).collect();
        let even = vec![1.0; layers.len()];
        let totals = apportion_within(division.total, &even, heads, &held).unwrap_or(held);
        layers.into_iter().zip(totals).flat_map(|(scores, total)| self.divide(scores, total)).collect()
    }
}

impl Adaptive {
    /// Returns the shares of the heads of one layer.
    fn divide(&self, scores: &[Vec<f32>], total: usize) -> Vec<f64> {
        let held: Vec<usize> = scores.iter().map(Vec::len).collect();
        let average = total as f64 / scores.len() as f64;
        let tokens_won =
            |safe: usize| compete::tokens_won(scores, total, safe).into_iter().map(|won| won as f64);
        let weights: Vec<f64> = match self.floor {
            Floor::Safeguard => tokens_won((average.floor() * self.safeguard) as usize).collect(),
            Floor::Linear => {
                tokens_won(0).map(|won| (1.0 - self.safeguard) * won + self.safeguard * average).collect()
            }
        };
        // Shares are rounded within the layer, so that a layer takes no tokens from another layer.
        let shares = apportion_within(total, &weights, 1, &held);
        shares.map_or(weights, |shares| shares.into_iter().map(|share| share as f64).collect())
    }
}
