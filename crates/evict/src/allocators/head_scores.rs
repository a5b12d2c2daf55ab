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
        /// The inverse of the fraction of the shares that is divided by score.
        pub beta: f64 = 1.01 =>
            checks::within(
                1.0..=f64::MAX,
                "it is finite and at least 1, since 1 / beta is the fraction that is divided by score",
            ),
        /// The number of tokens that every head keeps.
        pub window: usize = 8,
    }
    needs(self) [Need::HeadScores];
    "head-scores" from "Fu et al. 2024 (HeadKV), arXiv:2410.19258, for KV heads",
    "Gives more tokens to heads that a score file calls important.",
    formula: "`window` + (`n` - `window`)(1 - 1/`beta`), and the rest in proportion to the summed scores of \
         the head's query heads.",
    differences: "The paper divides tokens among query heads, not KV heads."
}

impl Allocator for HeadScores {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let observation = division.observation;
        let heads = observation.numbers(Need::HeadScores).chunks(observation.shape.group());
        let scores: Vec<f64> = heads.map(|group| group.iter().sum()).collect();
        let average = division.average_tokens();
        let window = average.min(self.window as f64);
        let certain = (average - window) * (1.0 - 1.0 / self.beta);
        layers::floor_and_share(window + certain, average, &scores)
    }
}
