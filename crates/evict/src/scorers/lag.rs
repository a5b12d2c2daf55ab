//! The scorer `lag`.

use crate::{
    Head, Need, Scorer, checks,
    formulas::{lag_scores, ranks},
};

method! {
    /// Keeps, in each partition of the cache, the tokens whose keys and values are unusual compared with the
    /// next partition. The last whole partition and the tokens after it are kept first, starting with the
    /// latest token. A cache of fewer than two partitions is evicted by recency. Because tokens are ranked
    /// within their partition, every partition keeps the same number of tokens; if the number does not divide
    /// evenly, later partitions keep one more.
    #[serde(rename_all = "kebab-case")]
    pub struct Lag {
        /// The number of tokens in a partition.
        pub lag: usize = 128 => checks::within(1.., "a partition has at least one token"),
        /// The number of first tokens held that belong to no partition.
        pub skip: usize = 4,
        /// Whether partitions compete by their scores. If not, each loses the same fraction.
        pub cross_scoring: bool = false,
    }
    needs(self) [Need::Keys, Need::Values];
    "lag" from "Liang et al. 2025 (LagKV), arXiv:2504.04704",
    "Keeps the tokens of each partition that are unusual compared with the next partition.", pools: false,
    formula: "The rank, within a partition of `lag` tokens, of the deviation over channels, scaled to the \
         range of the next partition. `cross-scoring`: the softmax of the deviation instead of its rank.",
    differences: "In the paper each partition keeps the same number, as ranks do here; a remainder goes to \
         later \
         partitions. A cache shorter than `skip` and two partitions is compressed by recency. A share with \
         room for no more than `skip`, the last partition and the tokens after it keeps `skip` and the \
         latest tokens."
}

impl Scorer for Lag {
    fn incomparable(&self) -> Option<&'static str> {
        (!self.cross_scoring)
            .then_some("`lag` scores are ranks within a partition, which are the same in every head")
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        let (held, dim) = (head.held(), head.head_dim());
        // Scores and ranks stay below 1. If scores are equal, the later token is kept.
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
