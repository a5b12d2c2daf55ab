use serde::{Deserialize, Serialize};

use super::{
    Layer, checks,
    press::{self, ScorerPress},
};
use crate::{Need, Needs, Shape, formulas, options::Options, registry::Method};

/// kvpress' `SnapKVPress`: what the last queries attend to, smoothed over neighbours, and the
/// tokens of these queries.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct SnapKv {
    /// How many of the last queries are asked.
    window_size: usize,
    /// Width of the centred mean that smooths their attention; odd.
    kernel_size: usize,
}

impl Default for SnapKv {
    fn default() -> SnapKv {
        SnapKv { window_size: 64, kernel_size: 5 }
    }
}

impl Options for SnapKv {
    fn check(&self) -> Result<(), String> {
        if self.window_size == 0 {
            return Err("a window has at least one query".into());
        }
        if self.kernel_size.is_multiple_of(2) {
            return Err("a centred mean has an odd width".into());
        }
        Ok(())
    }
}

impl Method for SnapKv {
    const NAME: &'static str = "kvpress:snapkv";
    const SOURCE: &'static str = "kvpress SnapKVPress; Li et al. 2024, arXiv:2404.14469";
    const DESCRIPTION: &'static str =
        "the last queries' tokens, and what these queries attended to, smoothed";
}

impl SnapKv {
    pub(super) fn window(&self) -> usize {
        self.window_size
    }
}

impl ScorerPress for SnapKv {
    fn needs(&self) -> Needs {
        [Need::Window(self.window_size)].into()
    }

    fn refuse(&self, shape: Shape) -> Result<(), String> {
        checks::more_tokens_than("window_size", self.window_size, shape)
    }

    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let before = layer.tokens - self.window_size;
        let smoothed = |head| {
            let attention = layer.group_mean(Need::Window(self.window_size), head);
            formulas::smoothed(&attention[..before], self.kernel_size)
        };
        let mut scores: Vec<Vec<f32>> = (0..layer.kv_heads).map(smoothed).collect();
        let above = press::above(&scores);
        scores.iter_mut().for_each(|scores| scores.resize(layer.tokens, above));
        scores
    }
}
