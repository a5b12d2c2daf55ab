//! The scorer `window-attention`.

use super::smooth::Smoothing;
use crate::{Head, Need, Scorer, checks};

method! {
    /// Keeps the tokens that the last queries attended to, smoothed over neighbours, and the tokens of those
    /// queries. In a context that is not longer than the window, it keeps the latest tokens.
    pub struct WindowAttention {
        /// The number of last queries that are read.
        pub window: usize = 32 => checks::window,
        /// The number of neighbours, including the token itself, over which attention is smoothed; odd.
        pub kernel: usize = 5 => checks::odd_kernel,
        /// How attention is smoothed over neighbours.
        pub smooth: Smoothing = Smoothing::Mean,
    }
    needs(self) [Need::Window(self.window)];
    "window-attention" from "Li et al. 2024 (SnapKV), arXiv:2404.14469",
    "Keeps the last queries' tokens and those that they attended to, smoothed over neighbours.",
    formula: "The attention of the last queries to `j`, smoothed over `kernel` neighbours by the mean, or by \
         the maximum with `smooth='max'`.",
    differences: "The paper keeps one set per query head, and does not evict below the capacity."
}

impl Scorer for WindowAttention {
    fn protects(&self) -> usize {
        self.window
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        // The columns of the window itself are not smoothed: like the positions beyond the context, they
        // count as zeros, as in torch's `avg_pool1d`.
        let row = head.pooled(Need::Window(self.window));
        let past = row.len().saturating_sub(self.window);
        out[..past].copy_from_slice(&self.smooth.smooth(&row[..past], self.kernel));
    }
}
