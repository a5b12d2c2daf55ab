//! The allocator `cake`.

use super::layers;
use crate::{Allocator, Division, Head, Need, PastRows, Pooling, Reason, checks};

method! {
    /// More tokens to layers whose last queries attended widely and changeably. Every layer keeps a window; the
    /// rest is divided in proportion to `H^(1/tau1) * V^(1/tau2)`. `H` is the entropy in nats of
    /// all of a layer's attention before the window, `V` the sum over heads and tokens of its
    /// variance over the queries. The original hands what a layer cannot hold to the others
    /// evenly, this in proportion; it compresses layer by layer during the prefill, this afterwards.
    pub struct Cake {
        /// How many of the last queries are asked; their tokens are kept in every layer.
        pub window: usize = 32 => checks::window,
        /// The temperature of entropy.
        pub tau1: f64 = 1.6 => temperature,
        /// The temperature of variance.
        pub tau2: f64 = 0.4 => temperature,
    }
    needs(self) [Need::WindowRows(self.window)];
    "cake" from "Qin et al. 2025 (CAKE), arXiv:2503.12491, after the prefill",
    "more tokens to layers that attend widely and changeably",
    formula: "of the layer: `w` + in proportion to `H^(1/tau1) V^(1/tau2)`, the entropy in nats and the \
         variance over queries of its attention",
    differences: "layers are compressed one after the other during the prefill there. `tau1` 1.6 and \
         `tau2` 0.4 are those of Llama 3.1 at a capacity of 1024"
}

impl Allocator for Cake {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let shape = division.observation.shape;
        let preference = |layer: usize| {
            let heads = layer * shape.kv_heads..(layer + 1) * shape.kv_heads;
            let (mut entropy, mut variance) = (0.0, 0.0);
            for head in heads {
                let head = Head::new(division.observation, head, Pooling::Mean);
                for rows in PastRows::new(&head, self.window) {
                    entropy += rows.iter().flatten().map(|&a| surprise(a)).sum::<f64>();
                    variance += rows.variance().iter().sum::<f64>();
                }
            }
            entropy.max(0.0).ln() / self.tau1 + variance.ln() / self.tau2
        };
        // As parts of the largest, which no temperature makes too large or too small for a number.
        let logarithms: Vec<f64> = (0..shape.layers).map(preference).collect();
        let most = logarithms.iter().copied().fold(f64::MIN, f64::max);
        let preferences: Vec<f64> =
            logarithms.into_iter().map(|preference| (preference - most).exp()).collect();
        let budgets = layers::above(self.window as f64, division.tokens_a_head(), &preferences);
        layers::spread(&budgets, shape.kv_heads)
    }
}

/// Far below 1 the layer with the most takes all, and further below the powers have no number.
fn temperature(tau: &f64) -> Result<(), Reason> {
    checks::within(0.001..=f64::MAX, "a temperature is finite and at least 0.001")(tau)
}

/// `-a ln a` in nats, 0 of 0.
fn surprise(a: f32) -> f64 {
    let a = f64::from(a);
    if a > 0.0 { -a * a.ln() } else { 0.0 }
}
