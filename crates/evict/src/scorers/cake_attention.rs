//! The scorer `cake-attention`.

use crate::{Head, Need, PastRows, Scorer, checks, formulas::smoothed};

method! {
    /// Keeps the tokens that the last queries attended to strongly or unevenly. The score is the mean
    /// attention plus `gamma` times its variance over these queries, smoothed over neighbours. The tokens of
    /// these queries are kept too.
    pub struct CakeAttention {
        /// The number of last queries that are read.
        pub window: usize = 32 => checks::window,
        /// The width of the centred mean that smooths the scores; odd.
        pub kernel: usize = 5 => checks::odd_kernel,
        /// The weight of the variance.
        pub gamma: f64 = 200.0 => checks::within(0.0..=f64::MAX, "a weight is finite and not negative"),
    }
    needs(self) [Need::WindowRows(self.window)];
    "cake-attention" from "Qin et al. 2025 (CAKE), arXiv:2503.12491",
    "Keeps the tokens that the last queries attended to strongly or unevenly, smoothed.",
    formula: "The mean attention + `gamma` x its variance over the queries, smoothed over `kernel` neighbours."
}

impl Scorer for CakeAttention {
    fn protects(&self) -> usize {
        self.window
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        let smoothed_scores = |rows: PastRows<'_>| {
            let moments = rows.mean().into_iter().zip(rows.variance());
            let score = |(mean, variance)| (mean + self.gamma * variance) as f32;
            smoothed(&moments.map(score).collect::<Vec<f32>>(), self.kernel)
        };
        let rows: Vec<Vec<f32>> = PastRows::new(head, self.window).into_iter().map(smoothed_scores).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let pooled = head.pool.pool(&rows);
        out[..pooled.len()].copy_from_slice(&pooled);
    }
}
