//! The allocator `head-scores`.

use super::layers;
use crate::{Allocator, Division, Need, checks};

method! {
    /// Gives more tokens to heads that a score file calls important. Every head keeps `window` tokens. The
    /// rest of an even share is split in two parts. Every head keeps the fraction `1 - 1 / beta` of it. The
    /// remaining fractions, `1 / beta`, of all heads are pooled and divided in proportion to the scores of
    /// the heads. The score of a KV head is the sum over its query heads, because a KV head stores one set of
    /// tokens. The original stores one set for each query head.
    pub struct HeadScores {
        /// One over the part of the shares that is divided anew.
        pub beta: f64 = 1.01 => checks::within(1.0..=f64::MAX, "the part to divide, 1 / beta, is at most 1"),
        /// Tokens that every head keeps.
        pub window: usize = 8,
    }
    needs(self) [Need::HeadScores];
    "head-scores" from "Fu et al. 2024 (HeadKV), arXiv:2410.19258, a KV head each",
    "more tokens to heads that a score file calls important",
    formula: "`window` + (`n` - `window`)(1 - 1/`beta`) + the rest in proportion to the group's summed \
         scores",
    differences: "each query head by itself there"
}

impl Allocator for HeadScores {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let seen = division.observation;
        let heads = seen.numbers(Need::HeadScores).chunks(seen.shape.group());
        let scores: Vec<f64> = heads.map(|group| group.iter().sum()).collect();
        let average = division.tokens_a_head();
        let window = average.min(self.window as f64);
        let certain = (average - window) * (1.0 - 1.0 / self.beta);
        layers::above(window + certain, average, &scores)
    }
}
