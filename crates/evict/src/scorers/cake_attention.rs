use serde::{Deserialize, Serialize};

use super::{PastRows, Scorer, smooth};
use crate::{Head, Need, Needs, formulas::smoothed, options::Options, registry::Method};

/// Keeps the tokens that the last queries attended to much or unevenly: mean plus `gamma` times
/// the variance over these queries, smoothed over neighbours; and the queries' own tokens.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct CakeAttention {
    /// How many of the last queries are asked.
    window: usize,
    /// Width of the centred mean that smooths the scores; odd.
    kernel: usize,
    /// The weight of the variance.
    gamma: f64,
}

impl Default for CakeAttention {
    fn default() -> CakeAttention {
        CakeAttention { window: 32, kernel: 5, gamma: 200.0 }
    }
}

impl Options for CakeAttention {
    fn check(&self) -> Result<(), String> {
        smooth::check(self.window, self.kernel)?;
        if self.gamma.is_finite() && self.gamma >= 0.0 {
            Ok(())
        } else {
            Err("a weight is finite, and not negative".into())
        }
    }
}

impl Method for CakeAttention {
    const NAME: &'static str = "cake-attention";
    const SOURCE: &'static str = "Qin et al. 2025 (CAKE), arXiv:2503.12491";
    const DESCRIPTION: &'static str = "what the last queries attended to, much or unevenly, smoothed";
}

impl Scorer for CakeAttention {
    fn needs(&self) -> Needs {
        [Need::WindowRows(self.window)].into()
    }

    fn protects(&self) -> usize {
        self.window
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        let one = |rows: PastRows<'_>| {
            let moments = rows.mean().into_iter().zip(rows.variance());
            let score = |(mean, variance)| (mean + self.gamma * variance) as f32;
            smoothed(&moments.map(score).collect::<Vec<f32>>(), self.kernel)
        };
        let rows: Vec<Vec<f32>> = PastRows::of(head, self.window).into_iter().map(one).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let pooled = head.pool.over(&rows);
        out[..pooled.len()].copy_from_slice(&pooled);
    }
}
