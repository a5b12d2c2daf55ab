//! The scorer `defensive`.

use super::output_norm::OutputNorm;
use crate::{Head, Need, PastRows, Scorer, checks, formulas::smoothed, select};

method! {
    /// Keeps the tokens that any of the last queries, of any query head of the group, attended to strongly.
    /// Other scorers take the mean over these queries; this one takes the maximum, the worst case. No token
    /// is scored below the mean of its head. Scores are multiplied by the norm of the value's output relative
    /// to the mean of the layer, so a layer with one KV head ranks by attention alone.
    ///
    /// The tokens that receive the most attention on average are promoted before all others, as long as
    /// together they stay below a bar. The bar is `mass` minus the attention that the `window` tokens before
    /// the window receive, averaged over the layer. The authors' code mistakes these tokens for those of the
    /// window itself, and this scorer reproduces that. It promotes at most as many tokens as an average head
    /// has room for.
    pub struct Defensive {
        /// The number of last queries that are read.
        pub window: usize = 32 => checks::window,
        /// The width of the centred mean that smooths the attention of each query; odd.
        pub kernel: usize = 5 => checks::odd_kernel,
        /// Which norm of the value's output is used.
        pub norm: OutputNorm = OutputNorm::SubNorm,
        /// The fraction of the mean attention whose tokens are promoted, 0..=1.
        pub mass: f64 = 0.9 => checks::fraction,
    }
    needs(self) [Need::WindowRows(self.window), self.norm.need()];
    "defensive" from "Feng et al. 2026 (DefensiveKV), repository FFY0/DefensiveKV",
    "Keeps tokens that any of the last queries attended to strongly, weighted by output norm.", pools: false,
    formula: "The maximum over group and queries of the smoothed row, at least the head's mean, x the output \
         norm relative to the layer's mean at `j`. The most attended tokens come first, as many as stay \
         below `mass` of the mean attention minus that of the `w` tokens before the window; they also win \
         the competition of heads, up to `n` per head.",
    differences: "It follows the authors' code: with one KV head per layer, norms have no effect, and `mass` is \
         lowered by tokens outside the window. Only this suite handles tokens that some heads of the \
         layer no longer hold."
}

impl Scorer for Defensive {
    fn protects(&self) -> usize {
        self.window
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        let past = head.held().saturating_sub(self.window);
        let mut worst = vec![0.0f64; past];
        for rows in PastRows::new(head, self.window) {
            for row in rows.iter() {
                let smooth = rescaled(row, self.kernel);
                worst.iter_mut().zip(smooth).for_each(|(w, a)| *w = w.max(a));
            }
        }
        let floor = worst.iter().sum::<f64>() / past as f64;
        // The layer's mean gives the same ranking as its sum, and counts only the heads that hold the token.
        let (norms, layer_norms) = (self.norm.mean_norms(head), head.layer_mean(self.norm.need()));
        for ((s, worst), (norm, layer_norm)) in
            out.iter_mut().zip(worst).zip(norms.into_iter().zip(layer_norms))
        {
            let relative_norm = if layer_norm > 0.0 { f64::from(norm) / f64::from(layer_norm) } else { 0.0 };
            *s = (worst.max(floor) * relative_norm) as f32;
        }
    }

    fn promotes(&self, head: &Head<'_>, average: usize) -> Vec<u32> {
        let mean = mean_attention(&PastRows::new(head, self.window));
        let first = count_below(&mean, self.mass - mass_before_window(head, self.window));
        select::best(&mean, first.min(average.saturating_sub(self.window)))
    }

    fn rerank(&self, head: &Head<'_>, count: usize, scores: &mut [f32]) {
        let (past, room) = (head.held().saturating_sub(self.window), count.saturating_sub(self.window));
        let mut first: Vec<usize> = (0..past).filter(|&at| scores[at].is_infinite()).collect();
        if first.len() > room {
            // A share below the average has room for only some of the promoted tokens.
            let mean = mean_attention(&PastRows::new(head, self.window));
            first.sort_by(|&a, &b| mean[b].total_cmp(&mean[a]).then(b.cmp(&a)));
            first[room..].iter().for_each(|&at| scores[at] = f32::MAX);
        }
    }
}

/// Returns the smoothed row, rescaled to the sum of `row`.
fn rescaled(row: &[f32], kernel: usize) -> impl Iterator<Item = f64> {
    let sum = |row: &[f32]| row.iter().copied().map(f64::from).sum::<f64>();
    let smooth = smoothed(row, kernel);
    let factor = if sum(&smooth) > 0.0 { sum(row) / sum(&smooth) } else { 0.0 };
    smooth.into_iter().map(move |a| f64::from(a) * factor)
}

/// Returns the mean attention over the group and the queries for each token before the window.
fn mean_attention(group: &[PastRows<'_>]) -> Vec<f32> {
    let heads = group.len() as f64;
    let mut mean: Vec<f64> = Vec::new();
    for rows in group {
        let row = rows.mean();
        mean.resize(row.len(), 0.0);
        mean.iter_mut().zip(row).for_each(|(m, a)| *m += a / heads);
    }
    mean.into_iter().map(|m| m as f32).collect()
}

/// Returns the attention to the `window` tokens before the window, averaged over the layer's query heads.
fn mass_before_window(head: &Head<'_>, window: usize) -> f64 {
    let rows: Vec<PastRows<'_>> = head.layer_heads().flat_map(|head| PastRows::new(&head, window)).collect();
    rows.iter().map(|rows| rows.mass_of_last(window)).sum::<f64>() / rows.len() as f64
}

/// Returns how many of the largest numbers can be added before their sum reaches the fraction `part` of the
/// sum of all.
fn count_below(numbers: &[f32], part: f64) -> usize {
    let mut sorted: Vec<f64> = numbers.iter().copied().map(f64::from).collect();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let bar = part * sorted.iter().sum::<f64>();
    let mut sum = 0.0;
    let short = |&number: &f64| {
        sum += number;
        sum < bar
    };
    sorted.into_iter().take_while(short).count()
}
