use serde::{Deserialize, Serialize};

use super::Scorer;
use crate::{
    Head, Need, Needs,
    formulas::{lag_scores, ranks},
    options::Options,
    registry::Method,
};

/// Keeps, of each partition of the cache, the tokens whose keys and values are unusual beside the
/// partition after it. The last whole partition and what is left behind it come first, the latest
/// of them before all. A cache of fewer than two partitions is cut by recency. Ranks within a
/// partition leave the same number of each, one more of the later where that does not divide.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Lag {
    /// Tokens in a partition.
    lag: usize,
    /// How many of the first tokens held are in no partition.
    skip: usize,
    /// Whether partitions compete by their scores instead of giving up the same part each.
    cross_scoring: bool,
}

impl Default for Lag {
    fn default() -> Lag {
        Lag { lag: 128, skip: 4, cross_scoring: false }
    }
}

impl Options for Lag {
    fn check(&self) -> Result<(), String> {
        if self.lag == 0 { Err("a partition has at least one token".into()) } else { Ok(()) }
    }
}

impl Method for Lag {
    const NAME: &'static str = "lag";
    const SOURCE: &'static str = "Liang et al. 2025 (LagKV), arXiv:2504.04704";
    const DESCRIPTION: &'static str = "of each partition, keys and values that the next makes unusual";
    const POOLS: bool = false;
}

impl Scorer for Lag {
    fn needs(&self) -> Needs {
        [Need::Keys, Need::Values].into()
    }

    fn incomparable(&self) -> Option<&'static str> {
        (!self.cross_scoring).then_some("`lag` ranks tokens within a partition, the same ranks in every head")
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        let (held, dim) = (head.held(), head.head_dim());
        // Scores and ranks stay below 1; of equal scores the later token is kept.
        out.fill(1.0);
        if held < self.skip.saturating_add(self.lag.saturating_mul(2)) {
            let recency = |(i, s): (usize, &mut f32)| *s = (i - self.skip) as f32 / held as f32;
            return out.iter_mut().enumerate().skip(self.skip).for_each(recency);
        }
        let (keys, values) = (&head.keys()[self.skip * dim..], &head.values()[self.skip * dim..]);
        let scores = lag_scores(keys, values, dim, self.lag);
        for (out, scores) in out[self.skip..].chunks_exact_mut(self.lag).zip(scores) {
            if self.cross_scoring {
                out.copy_from_slice(&scores);
            } else {
                let part = |(s, rank): (&mut f32, usize)| *s = rank as f32 / self.lag as f32;
                out.iter_mut().zip(ranks(&scores)).for_each(part);
            }
        }
    }
}
