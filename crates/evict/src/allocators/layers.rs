//! Helpers of the allocators that divide a budget among layers and give all heads of a layer the same share.

/// Each layer's tokens a head, for every head of it.
pub(super) fn spread(layers: &[f64], kv_heads: usize) -> Vec<f64> {
    layers.iter().flat_map(|&tokens| std::iter::repeat_n(tokens, kv_heads)).collect()
}

/// Tokens a head, `floor` to each layer and the rest of an average of `tokens` in proportion to
/// `weights`; evenly where they are all zero, and where the floor takes it all.
pub(super) fn above(floor: f64, tokens: f64, weights: &[f64]) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    let rest = (tokens - floor).max(0.0) * weights.len() as f64;
    let share = |w: &f64| if sum > 0.0 { w / sum } else { 1.0 / weights.len() as f64 };
    weights.iter().map(|w| tokens.min(floor) + rest * share(w)).collect()
}
