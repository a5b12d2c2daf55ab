use serde::{Deserialize, Serialize};

use super::{
    Scorer,
    smooth::{self, Smooth},
};
use crate::{Head, Need, Needs, options::Options, registry::Method};

/// Keeps the tokens that the last queries attended to, smoothed over neighbours, and the
/// tokens of those queries themselves. A context no longer than the window is all
/// window, of which the latest tokens are kept.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct WindowAttention {
    /// How many of the last queries are asked.
    window: usize,
    /// How many neighbours, with the token itself, smooth their attention; odd.
    kernel: usize,
    /// By what the neighbours smooth it.
    smooth: Smooth,
}

impl Default for WindowAttention {
    fn default() -> WindowAttention {
        WindowAttention { window: 32, kernel: 5, smooth: Smooth::Mean }
    }
}

impl Options for WindowAttention {
    fn check(&self) -> Result<(), String> {
        smooth::check(self.window, self.kernel)
    }
}

impl Method for WindowAttention {
    const NAME: &'static str = "window-attention";
    const SOURCE: &'static str = "Li et al. 2024 (SnapKV), arXiv:2404.14469";
    const DESCRIPTION: &'static str =
        "the last queries' tokens, and what these queries attended to, smoothed";
}

impl Scorer for WindowAttention {
    fn needs(&self) -> Needs {
        [Need::Window(self.window)].into()
    }

    fn protects(&self) -> usize {
        self.window
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        // The window's own columns are no part of what is smoothed: like the outside
        // of the context they count as zeros, as in torch's `avg_pool1d`.
        let row = head.pooled(Need::Window(self.window));
        let past = row.len().saturating_sub(self.window);
        out[..past].copy_from_slice(&self.smooth.over(&row[..past], self.kernel));
    }
}
