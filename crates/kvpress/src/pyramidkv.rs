//! `PyramidKVPress` of kvpress.

use bitkv_evict::{Options, Reason, method};

use crate::{
    checks,
    layer::Layer,
    press::{self, Press},
    snapkv::SnapKv,
    ties::Ties,
};

method! {
    /// `PyramidKVPress` of kvpress: SnapKV with budgets that fall from layer to layer.
    pub(crate) struct PyramidKv {
        /// The average budget divided by the budget of the last layer, approximately.
        beta: usize = 20 => checks::within(1.., "it divides the average budget; use at least 1"),
        #[serde(flatten)]
        press: SnapKv = SnapKv::default() => Options::check,
    }
    needs(self) self.press.needs();
    "kvpress:pyramidkv" from "kvpress PyramidKVPress; Cai et al. 2024, arXiv:2406.02069",
    "Keeps tokens like SnapKV, with budgets that fall from layer to layer."
}

impl Press for PyramidKv {
    fn conserves(&self) -> bool {
        false
    }

    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, Reason> {
        let scores = press::finite_scores(&self.press, layer)?;
        Ok(press::keep_best(scores, self.budget(layer).min(layer.tokens), ties))
    }
}

impl PyramidKv {
    /// Returns the number of tokens that each head of the layer keeps. It follows kvpress' `get_layer_budget`
    /// step by step in `f64`, because the order of the roundings matters.
    fn budget(&self, layer: &Layer<'_>) -> usize {
        let (tokens, window) = (layer.tokens as f64, self.press.window_size as f64);
        let capacity = window + tokens * layer.part;
        let mut least = (capacity - window) / self.beta as f64;
        let mut most = (capacity - window) * 2.0 - least;
        if most >= tokens - window {
            most = tokens - window;
            least = (capacity - window) * 2.0 - most;
        }
        if !(tokens >= most && most >= least && least >= window) {
            return ((tokens * layer.part).round_ties_even() as usize).max(1);
        }
        let step = if layer.count > 1 { (most - least) / (layer.count - 1) as f64 } else { 0.0 };
        (most - layer.index as f64 * step).round_ties_even() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_cache::ScoreCache;
    use bitkv_evict::{Budget, Observation, Shape};

    fn budgets(tokens: usize, ratio: f64, layers: usize) -> Vec<usize> {
        let shape = Shape { layers, query_heads: 1, kv_heads: 1, tokens, head_dim: 1 };
        let (seen, cache) = (Observation::new(shape), ScoreCache::default());
        let budget = Budget::ratio(ratio).unwrap();
        (0..layers).map(|i| PyramidKv::default().budget(&Layer::new(&seen, i, budget, &cache))).collect()
    }

    #[test]
    fn budgets_fall_from_layer_to_layer() {
        assert_eq!(budgets(700, 0.5, 4), [636, 445, 255, 64]);
        let deep = budgets(4096, 0.5, 30);
        assert_eq!((deep[0], deep[29]), (3994, 102));
        // If the window does not fit into the smallest budget, all layers have the same budget.
        assert_eq!(budgets(300, 0.75, 3), [75, 75, 75]);
        assert_eq!(budgets(4096, 0.5, 1), [3994]);
    }
}
