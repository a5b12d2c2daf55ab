//! `SnapKVPress` of kvpress.

use bitkv_evict::{Need, Reason, Shape, formulas, method};

use crate::{
    checks,
    layer::Layer,
    press::{self, ScorerPress},
};

method! {
    /// `SnapKVPress` of kvpress: keeps the last tokens, and the tokens to which their queries pay the most
    /// attention, smoothed over neighbours.
    pub(crate) struct SnapKv {
        /// The number of last queries whose attention is read.
        pub(crate) window_size: usize = 64 => checks::window,
        /// The width in tokens of the centred mean that smooths their attention; odd.
        kernel_size: usize = 5 => checks::odd("a centred mean has an odd width"),
    }
    needs(self) [Need::Window(self.window_size)];
    "kvpress:snapkv" from "kvpress SnapKVPress; Li et al. 2024, arXiv:2404.14469",
    "Keeps the last queries' tokens and those that they attended to, smoothed over neighbours."
}

impl ScorerPress for SnapKv {
    fn refuse(&self, shape: Shape) -> Result<(), Reason> {
        checks::more_tokens_than("window_size", self.window_size, shape)
    }

    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let before = layer.tokens - self.window_size;
        let smoothed = |head| {
            let attention = layer.group_mean(Need::Window(self.window_size), head);
            formulas::smoothed(&attention[..before], self.kernel_size)
        };
        let mut scores: Vec<Vec<f32>> = (0..layer.kv_heads).map(smoothed).collect();
        let protected = press::protected_score(&scores);
        scores.iter_mut().for_each(|scores| scores.resize(layer.tokens, protected));
        scores
    }
}
