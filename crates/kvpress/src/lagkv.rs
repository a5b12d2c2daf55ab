//! `LagKVPress` of kvpress.

use bitkv_evict::{Need, formulas, method};

use crate::{checks, layer::Layer, press::ScorerPress};

method! {
    /// `LagKVPress` of kvpress: keeps the tokens whose keys and values stand out compared with the next
    /// partition. The first tokens and the last partition are always kept.
    pub(crate) struct LagKv {
        /// The number of first tokens that are kept.
        n_sink: usize = 4,
        /// The number of tokens in a partition.
        lag_size: usize = 128 => checks::within(1.., "a partition has at least one token"),
        /// Whether tokens of different partitions compete by score. If not, tokens are ranked within their
        /// partition.
        cross_scoring: bool = false,
    }
    needs(self) [Need::Keys, Need::Values];
    "kvpress:lagkv" from "kvpress LagKVPress; Liang et al. 2025, arXiv:2504.04704",
    "Keeps the tokens of each partition that stand out against the next partition."
}

impl ScorerPress for LagKv {
    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        if layer.tokens < self.n_sink + 2 * self.lag_size {
            return vec![self.latest(layer.tokens); layer.kv_heads];
        }
        (0..layer.kv_heads).map(|head| self.head_scores(layer, head)).collect()
    }
}

impl LagKv {
    /// Returns the scores, `[tokens]`, of a context that is too short for partitions. They rank the first
    /// tokens highest, then the latest.
    fn latest(&self, tokens: usize) -> Vec<f32> {
        let after = tokens.saturating_sub(self.n_sink);
        let score = |i| if i < self.n_sink { 1.0 } else { (i - self.n_sink) as f32 / after as f32 };
        (0..tokens).map(score).collect()
    }

    /// Returns the scores of one KV head, `[tokens]`.
    fn head_scores(&self, layer: &Layer<'_>, head: usize) -> Vec<f32> {
        let after = |need| &layer.row(need, head)[self.n_sink * layer.head_dim..];
        let parts =
            formulas::lag_scores(after(Need::Keys), after(Need::Values), layer.head_dim, self.lag_size);
        let mut scores = vec![1.0; self.n_sink];
        for part in parts {
            if self.cross_scoring {
                scores.extend(part);
            } else {
                let relative = |rank: usize| rank as f32 / self.lag_size as f32;
                scores.extend(formulas::ranks(&part).into_iter().map(relative));
            }
        }
        scores.resize(layer.tokens, 1.0);
        scores
    }
}
