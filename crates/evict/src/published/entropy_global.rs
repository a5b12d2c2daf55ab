//! The rule `entropy-global`.

use bitkv_stats::Summary;

use super::shared::{mean, scale};
use crate::{Budget, EntropyPooling, Memo, Need, Observation, Plan, Reason, Rule, Shape, select};

method! {
    /// Keeps the same tokens in all heads and layers: all heads have the same budget, and all rank the tokens
    /// in the same order.
    ///
    /// The code takes the budget from a context length; here it is the length of the cache. The coefficient
    /// of variation is computed over the entropies of the query heads, as in profiles.
    pub struct EntropyGlobal {}
    needs(self) [Need::Entropy];
    "entropy-global" from "microsoft/BitNet pull request 497, entropy_kv_cache.cpp",
    "Published rule: one budget for all heads, spent on the first and the latest tokens.", role: Published,
    formula: "One sink and the latest tokens, with the same budget for all heads."
}

impl Rule for EntropyGlobal {
    fn plan(&self, observation: &Observation<'_>, budget: Budget, _: &Memo) -> Result<Plan, Reason> {
        let shape = observation.shape;
        let count =
            global_budget(shape, observation.numbers(Need::Entropy), budget.kept_fraction(observation.shape));
        let cv = Summary::new(observation.numbers(Need::Entropy)).map_or(0.0, |s| s.cv);
        // If there are no more tokens than the budget allows, `best` keeps all of them, as the published code
        // does.
        let set = select::best(&importance(shape.tokens, cv), count);
        Ok(Plan::from_kv_heads(shape, budget.total(shape), vec![set; shape.all_kv_heads()]))
    }
}

/// Returns how many tokens the published C++ keeps of a context of `shape.tokens`.
///
/// The entropy of a KV head is the largest in its group. Its budget is
/// `clamp(floor(tokens * keep * clamp(H / mean(H), 0.3, 2.5)), 1, tokens)`. The budget of a layer is the
/// largest of its heads, and the budget of the cache is the mean over layers, rounded down. `entropy` holds
/// bits, `[layers * query_heads]`; `shape` must pass [`Shape::check`].
pub fn global_budget(shape: Shape, entropy: &[f64], keep: f64) -> usize {
    let tokens = shape.tokens;
    let entropy = EntropyPooling::Max.pool(entropy, shape.group());
    let mean = mean(&entropy);
    let budget =
        |&h: &f64| ((tokens as f64 * keep * scale(h, mean)).floor() as usize).clamp(1, tokens.max(1));
    let layers: Vec<usize> = entropy
        .chunks(shape.kv_heads.max(1))
        .map(|layer| layer.iter().map(budget).max().unwrap_or(1))
        .collect();
    layers.iter().sum::<usize>() / layers.len().max(1)
}

/// Returns the importance that the published C++ gives each position, `[tokens]`. It is 1e10 for the first
/// position and `exp(-2 * distance / (last * (1 + cv)))` for the others, plus 0.5 for the last tenth of the
/// context. After the first position it only rises, so keeping the most important positions is StreamingLLM
/// with one sink.
pub fn importance(tokens: usize, cv: f64) -> Vec<f32> {
    let last = tokens.saturating_sub(1) as f64;
    let alpha = 2.0 / (last * (1.0 + cv));
    let importance_of = |position: usize| {
        let distance = last - position as f64;
        let bonus = if distance < 0.1 * last { 0.5 } else { 0.0 };
        if position == 0 { 1e10 } else { ((-alpha * distance).exp() + bonus) as f32 }
    };
    (0..tokens).map(importance_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_head_of_a_layer_sets_its_budget() {
        // KV entropies 1, 3 | 2, 2, mean 2: budgets 25, 75 | 50, 50, layer maxima 75 and 50.
        let shape = Shape { layers: 2, query_heads: 4, kv_heads: 2, tokens: 100, head_dim: 1 };
        let entropy = [1.0, 0.0, 3.0, 1.0, 2.0, 2.0, 0.0, 2.0];
        assert_eq!(global_budget(shape, &entropy, 0.5), 62);
        assert_eq!(global_budget(shape, &[0.0; 8], 0.001), 1);
    }

    #[test]
    fn importance_is_recency_after_one_sink() {
        for cv in [0.0, 0.5, 3.0] {
            let importance = importance(500, cv);
            assert_eq!(importance[0], 1e10);
            assert!(importance[1..].windows(2).all(|w| w[0] <= w[1]));
        }
        assert_eq!(importance(1, 0.5), [1e10]);
        // 0.1 * 10 = 1: only the last position is nearer than a tenth.
        let short = importance(11, 0.0);
        assert_eq!((short[10], short[9]), (1.5, (-0.2f64).exp() as f32));
    }
}
