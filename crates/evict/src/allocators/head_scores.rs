use serde::{Deserialize, Serialize};

use super::{Allocator, Division};
use crate::{Need, Needs, options::Options, registry::Method};

/// More tokens to heads that a score file calls important. Behind a window that every head keeps,
/// each has all but the part `1 / beta` of an even share for certain; those parts of all heads are
/// divided in proportion to their scores. A KV head has the sum of its query heads' scores
/// (the original stores one set of tokens for each query head).
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct HeadScores {
    /// One over the part of the shares that is divided anew.
    beta: f64,
    /// Tokens that every head keeps.
    window: usize,
}

impl Default for HeadScores {
    fn default() -> HeadScores {
        HeadScores { beta: 1.01, window: 8 }
    }
}

impl Options for HeadScores {
    fn check(&self) -> Result<(), String> {
        if self.beta.is_finite() && self.beta >= 1.0 {
            Ok(())
        } else {
            Err("the part to divide, 1 / beta, is at most 1".into())
        }
    }
}

impl Method for HeadScores {
    const NAME: &'static str = "head-scores";
    const SOURCE: &'static str = "Fu et al. 2024 (HeadKV), arXiv:2410.19258, a KV head each";
    const DESCRIPTION: &'static str = "more tokens to heads that a score file calls important";
}

impl Allocator for HeadScores {
    fn needs(&self) -> Needs {
        [Need::HeadScores].into()
    }

    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let seen = division.observation;
        let heads = seen.numbers(Need::HeadScores).chunks(seen.shape.group());
        let scores: Vec<f64> = heads.map(|group| group.iter().sum()).collect();
        let average = division.tokens_a_head();
        let window = average.min(self.window as f64);
        let certain = (average - window) * (1.0 - 1.0 / self.beta);
        super::layers::above(window + certain, average, &scores)
    }
}
