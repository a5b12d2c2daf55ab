//! The allocator `pyramid`.

use super::layers;
use crate::{Allocator, Division, checks};

method! {
    /// Gives fewer tokens to later layers: budgets fall linearly with depth. Every layer first keeps `window`
    /// tokens. If `average` is the rest of an even share, the last layer gets `average / beta` more tokens
    /// and the first layer `2 * average - average / beta`. If the first layer would get more tokens than
    /// there are, the line is flattened around its mean. The original rounds each layer down and adds the
    /// window to the budget; this allocator spends the budget exactly.
    pub struct Pyramid {
        /// The average share divided by the share of the last layer.
        pub beta: f64 = 20.0 =>
            checks::within(1.0..=f64::MAX, "the last layer's share goes into the average at least once"),
        /// Tokens that every layer keeps.
        pub window: usize = 32,
    }
    "pyramid" from "Cai et al. 2024 (PyramidKV), arXiv:2406.02069, conserving",
    "fewer tokens the higher the layer, in equal steps",
    formula: "`window` + a line over the layers from 2(`n` - `window`) less its last to (`n` - \
         `window`) / `beta`",
    differences: "the window is on top of the budget there"
}

impl Allocator for Pyramid {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let shape = division.observation.shape;
        let window = self.window as f64;
        let average = division.tokens_a_head() - window;
        if average <= 0.0 || shape.layers == 1 {
            return vec![1.0; shape.all_kv_heads()];
        }
        let most = (2.0 * average - average / self.beta).min(division.longest() - window);
        let step = 2.0 * (most - average) / (shape.layers - 1) as f64;
        let budgets: Vec<f64> = (0..shape.layers).map(|l| window + most - l as f64 * step).collect();
        layers::spread(&budgets, shape.kv_heads)
    }
}
