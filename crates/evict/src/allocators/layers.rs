//! Helpers of the allocators that divide a budget among layers and give all heads of a layer the same share.

/// Returns the tokens of every KV head, `[layers * kv_heads]`, from the tokens per head of each layer,
/// `[layers]`.
pub(super) fn repeat_for_heads(layers: &[f64], kv_heads: usize) -> Vec<f64> {
    layers.iter().flat_map(|&tokens| std::iter::repeat_n(tokens, kv_heads)).collect()
}

/// Returns the tokens per head of each layer or head that has a weight, with an average of `tokens`. Each
/// gets `floor` tokens, and a part of the rest in proportion to its weight. If all weights are zero, the rest
/// is divided evenly. If `floor` is more than `tokens`, each gets `tokens`.
pub(super) fn floor_and_share(floor: f64, tokens: f64, weights: &[f64]) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    let rest = (tokens - floor).max(0.0) * weights.len() as f64;
    let share = |w: &f64| if sum > 0.0 { w / sum } else { 1.0 / weights.len() as f64 };
    weights.iter().map(|w| tokens.min(floor) + rest * share(w)).collect()
}
