//! `CURPress` of kvpress.

use bitkv_evict::{Need, Needs, formulas, method};
use serde::{Deserialize, Serialize};

use crate::{checks, layer::Layer, press::ScorerPress};

method! {
    /// `CURPress` of kvpress: scores a token by the squared norms of its key and value, as a share of those
    /// of all tokens or of its stretch of the context. The random projection of kvpress is left out, because
    /// it cannot be reproduced.
    pub(crate) struct Cur {
        /// The number of first tokens that are kept.
        num_sinks: usize = 4,
        leverage_type: Leverage = Leverage::KvProduct,
        /// Whether shares are relative to a stretch of the context instead of the whole context.
        use_local_approximation: bool = true,
        /// The number of tokens in a stretch.
        local_window_size: usize = 16 => checks::within(1.., "a stretch has at least one token"),
    }
    needs(self) match self.leverage_type {
        Leverage::Key => Needs::from([Need::Keys]),
        Leverage::Value => Needs::from([Need::Values]),
        Leverage::KvAvg | Leverage::KvProduct => Needs::from([Need::Keys, Need::Values]),
    };
    "kvpress:cur" from "kvpress CURPress; Sengupta et al. 2025, arXiv:2509.15038",
    "Keeps the tokens with the largest shares of the squared lengths of keys and values."
}

/// What the leverage score of a token is: the share of its key, the share of its value, or the mean or the
/// product of both shares.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Leverage {
    Key,
    Value,
    KvAvg,
    KvProduct,
}

impl ScorerPress for Cur {
    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let share = |need, head| self.shares(layer.row(need, head), layer.head_dim);
        let joined_shares = |head, join: fn((f32, f32)) -> f32| {
            share(Need::Keys, head).into_iter().zip(share(Need::Values, head)).map(join).collect()
        };
        let scores = |head| {
            let mut scores: Vec<f32> = match self.leverage_type {
                Leverage::Key => share(Need::Keys, head),
                Leverage::Value => share(Need::Values, head),
                Leverage::KvAvg => joined_shares(head, |(k, v)| (k + v) / 2.0),
                Leverage::KvProduct => joined_shares(head, |(k, v)| k * v),
            };
            let sum = scores.iter().copied().map(f64::from).sum::<f64>() as f32;
            scores.iter_mut().for_each(|s| *s /= sum);
            scores.iter_mut().take(self.num_sinks).for_each(|s| *s = 1.0);
            scores
        };
        (0..layer.kv_heads).map(scores).collect()
    }
}

impl Cur {
    /// Returns the squared norm of each row, `[tokens]`, divided by the sum over its stretch if
    /// `use_local_approximation` is set.
    fn shares(&self, rows: &[f32], width: usize) -> Vec<f32> {
        let mut squares: Vec<f32> = formulas::row_norms(rows, width).into_iter().map(|n| n * n).collect();
        if self.use_local_approximation {
            for stretch in squares.chunks_mut(self.local_window_size) {
                let sum = stretch.iter().copied().map(f64::from).sum::<f64>() as f32;
                stretch.iter_mut().for_each(|s| *s /= sum);
            }
        }
        squares
    }
}
