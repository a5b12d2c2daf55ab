use serde::{Deserialize, Serialize};

use super::{PastRows, Scorer, output_norm::OutputNorm, smooth};
use crate::{Head, Need, Needs, formulas::smoothed, options::Options, registry::Method, select};

/// Keeps the tokens that any of the last queries, of any query head of the group, attended to
/// much: the worst case where others take the mean. No token is scored below the head's mean.
/// Scores are multiplied by the value's part of the length of all outputs. Within the head's
/// share, the tokens that make up most of the mean attention come first; heads compete
/// without regard to that.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Defensive {
    /// How many of the last queries are asked.
    window: usize,
    /// Width of the centred mean that smooths each query's attention; odd.
    kernel: usize,
    /// Which length of the value's output.
    norm: OutputNorm,
    /// The part of the mean attention, the window's with it, whose tokens come first, 0..=1.
    mass: f32,
}

impl Default for Defensive {
    fn default() -> Defensive {
        Defensive { window: 32, kernel: 5, norm: OutputNorm::SubNorm, mass: 0.9 }
    }
}

impl Options for Defensive {
    fn check(&self) -> Result<(), String> {
        smooth::check(self.window, self.kernel)?;
        super::check_part(self.mass)
    }
}

impl Method for Defensive {
    const NAME: &'static str = "defensive";
    const SOURCE: &'static str = "Feng et al. 2026 (DefensiveKV), repository FFY0/DefensiveKV";
    const DESCRIPTION: &'static str =
        "what any of the last queries attended to most, times the length of its output";
    const POOLS: bool = false;
}

impl Scorer for Defensive {
    fn needs(&self) -> Needs {
        [Need::WindowRows(self.window), self.norm.need()].into()
    }

    fn protects(&self) -> usize {
        self.window
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        let past = head.held().saturating_sub(self.window);
        let mut worst = vec![0.0f64; past];
        for rows in PastRows::of(head, self.window) {
            for row in rows.iter() {
                let smooth = rescaled(row, self.kernel);
                worst.iter_mut().zip(smooth).for_each(|(w, a)| *w = w.max(a));
            }
        }
        let floor = worst.iter().sum::<f64>() / past as f64;
        let norms = self.norm.of(head);
        let all: f64 = norms[..past].iter().copied().map(f64::from).sum();
        for ((s, worst), norm) in out.iter_mut().zip(worst).zip(norms) {
            let part = if all > 0.0 { f64::from(norm) / all } else { 0.0 };
            *s = (worst.max(floor) * part) as f32;
        }
    }

    fn rerank(&self, head: &Head<'_>, count: usize, scores: &mut [f32]) {
        let (mean, window) = mean_attention(&PastRows::of(head, self.window));
        let first = smallest_prefix(&mean, f64::from(self.mass) - window);
        let first = first.min(count.saturating_sub(self.window));
        for at in select::best(&mean, first) {
            scores[at as usize] = f32::INFINITY;
        }
    }
}

/// The smoothed row, brought back to the sum that it had before.
fn rescaled(row: &[f32], kernel: usize) -> impl Iterator<Item = f64> {
    let sum = |row: &[f32]| row.iter().copied().map(f64::from).sum::<f64>();
    let smooth = smoothed(row, kernel);
    let factor = if sum(&smooth) > 0.0 { sum(row) / sum(&smooth) } else { 0.0 };
    smooth.into_iter().map(move |a| f64::from(a) * factor)
}

/// Mean attention over the group and the queries for each token before the window, and what
/// falls on the window.
fn mean_attention(group: &[PastRows<'_>]) -> (Vec<f32>, f64) {
    let heads = group.len() as f64;
    let mut mean: Vec<f64> = Vec::new();
    for rows in group {
        let row = rows.mean();
        mean.resize(row.len(), 0.0);
        mean.iter_mut().zip(row).for_each(|(m, a)| *m += a / heads);
    }
    let window = group.iter().map(PastRows::mass_of_window).sum::<f64>() / heads;
    (mean.into_iter().map(|m| m as f32).collect(), window)
}

/// How many of the largest numbers it takes to reach `mass`; all where they do not.
fn smallest_prefix(numbers: &[f32], mass: f64) -> usize {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut missing = mass;
    let reaching = |&a: &f32| {
        let short = missing > 0.0;
        missing -= f64::from(a);
        short
    };
    sorted.iter().copied().take_while(reaching).count()
}
