//! The allocator `cake`.

use super::layers;
use crate::{Allocator, Division, Head, Need, PastRows, Pooling, Reason, checks};

method! {
    /// Gives more tokens to layers whose last queries attended to many tokens, and to different ones from
    /// query to query. Every layer keeps `window` tokens; the rest of the budget is divided in proportion to
    /// `H^(1/tau1) * V^(1/tau2)`. `H` is the entropy in nats of all of a layer's attention before the window.
    /// `V` is the variance of that attention over the queries, summed over heads and tokens.
    ///
    /// Tokens of the budget that a layer cannot hold go to the other layers: evenly in the original, in
    /// proportion to their preferences here. The original compresses layer by layer during the prefill; here
    /// the cache is compressed after the prefill.
    pub struct Cake {
        /// The number of last queries that are read; their tokens are kept in every layer.
        pub window: usize = 32 => checks::window,
        /// The temperature of entropy.
        pub tau1: f64 = 1.6 => temperature,
        /// The temperature of variance.
        pub tau2: f64 = 0.4 => temperature,
    }
    needs(self) [Need::WindowRows(self.window)];
    "cake" from "Qin et al. 2025 (CAKE), arXiv:2503.12491, applied after the prefill",
    "Gives more tokens to layers whose attention is wide and varies between queries.",
    formula: "`w` tokens in every layer, and the rest in proportion to `H^(1/tau1) V^(1/tau2)` of the layer. \
         `H` is the entropy in nats of its attention, and `V` the variance of its attention over the \
         queries.",
    differences: "The paper compresses layers one after the other during the prefill. The defaults `tau1` 1.6 and \
         `tau2` 0.4 are the paper's for Llama 3.1 at a capacity of 1024."
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
                    entropy += rows.iter().flatten().map(|&a| entropy_term(a)).sum::<f64>();
                    variance += rows.variance().iter().sum::<f64>();
                }
            }
            entropy.max(0.0).ln() / self.tau1 + variance.ln() / self.tau2
        };
        // Preferences are relative to the largest one, so that no temperature makes one overflow or all
        // vanish.
        let logarithms: Vec<f64> = (0..shape.layers).map(preference).collect();
        let most = logarithms.iter().copied().fold(f64::MIN, f64::max);
        let preferences: Vec<f64> =
            logarithms.into_iter().map(|preference| (preference - most).exp()).collect();
        let budgets = layers::floor_and_share(self.window as f64, division.average_tokens(), &preferences);
        layers::repeat_for_heads(&budgets, shape.kv_heads)
    }
}

/// Checks a temperature. With a low temperature the layer of the highest preference gets everything; below
/// 0.001 the powers overflow.
fn temperature(tau: &f64) -> Result<(), Reason> {
    checks::within(0.001..=f64::MAX, "a temperature is finite and at least 0.001")(tau)
}

/// Returns `-a ln a` in nats, or 0 if `a` is 0.
fn entropy_term(a: f32) -> f64 {
    let a = f64::from(a);
    if a > 0.0 { -a * a.ln() } else { 0.0 }
}
