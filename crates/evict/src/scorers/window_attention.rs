use serde::{Deserialize, Serialize};

use super::Scorer;
use crate::{Head, Need, Needs, options::Options, registry::Method};

/// Keeps the tokens that the last queries attended to, smoothed over neighbours, and the
/// tokens of those queries themselves. A context no longer than the window is all
/// window, of which the latest tokens are kept.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct WindowAttention {
    /// How many of the last queries are asked.
    window: usize,
    /// Width of the centred mean that smooths their attention; odd.
    kernel: usize,
}

impl Default for WindowAttention {
    fn default() -> WindowAttention {
        WindowAttention { window: 32, kernel: 5 }
    }
}

impl Options for WindowAttention {
    fn check(&self) -> Result<(), String> {
        if self.window == 0 {
            return Err("a window has at least one query".into());
        }
        if self.kernel.is_multiple_of(2) {
            return Err("a centred mean has an odd width".into());
        }
        Ok(())
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
        let before = &row[..row.len().saturating_sub(self.window)];
        let reach = self.kernel / 2;
        for (i, s) in out.iter_mut().enumerate().take(before.len()) {
            let around = &before[i.saturating_sub(reach)..(i + reach + 1).min(before.len())];
            *s = (around.iter().map(|&a| f64::from(a)).sum::<f64>() / self.kernel as f64) as f32;
        }
    }
}
