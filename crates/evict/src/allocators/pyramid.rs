//! The allocator `pyramid`.

use super::layers;
use crate::{Allocator, Division, checks};

method! {
    /// Gives fewer tokens to later layers: budgets fall linearly with depth. Every layer first keeps `window`
    /// tokens. If `average` is the rest of an even share, the last layer gets `average / beta` more tokens
    /// and the first layer `2 * average - average / beta`. If the first layer would get more tokens than
    /// there are, the line is flattened around its mean. The authors' code rounds the step between layers
    /// down, and so keeps about the budget; this allocator keeps exactly the budget. Both count the window
    /// within it.
    #[serde(rename_all = "kebab-case")]
    pub struct Pyramid {
        /// The average share divided by the share of the last layer.
        pub beta: f64 = 20.0 =>
            checks::within(
                1.0..=f64::MAX,
                "it is finite and at least 1, since the last layer gets 1 / beta of the average",
            ),
        /// The number of tokens that every layer keeps.
        pub window: usize = 32,
        /// Whether all layers get the same budget if the cache holds fewer than `2 * average` tokens, as in
        /// the authors' code (`update_kv` in `pyramidkv_utils.py` of KVCache-Factory). If not, the line is
        /// flattened there too.
        pub equal_if_short: bool = false,
    }
    "pyramid" from "Cai et al. 2024 (PyramidKV), arXiv:2406.02069, made to conserve the budget",
    "Gives fewer tokens to later layers: the budget falls linearly with depth.",
    formula: "`window` + a linear function of the layer, from (`n` - `window`)(2 - 1/`beta`) in the first \
         layer to (`n` - `window`) / `beta` in the last. `equal-if-short`: the same for every layer if the \
         cache holds fewer than 2(`n` - `window`) tokens.",
    differences: "The authors' code rounds the step between layers down and keeps about the budget. Its layers \
         are equal if the cache is short, as with `equal-if-short`."
}

impl Allocator for Pyramid {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let shape = division.observation.shape;
        let window = self.window as f64;
        let average = division.average_tokens() - window;
        let equal = self.equal_if_short && division.most_held() < 2.0 * average;
        if average <= 0.0 || shape.layers == 1 || equal {
            return vec![1.0; shape.all_kv_heads()];
        }
        let most = (2.0 * average - average / self.beta).min(division.most_held() - window);
        let step = 2.0 * (most - average) / (shape.layers - 1) as f64;
        let budgets: Vec<f64> = (0..shape.layers).map(|l| window + most - l as f64 * step).collect();
        layers::repeat_for_heads(&budgets, shape.kv_heads)
    }
}
