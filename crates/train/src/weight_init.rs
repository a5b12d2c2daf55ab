//! Initial weights. A small model is trained on few tokens, so its first weights already help it to copy from
//! its context.
//!
//! - The embedding is large compared with what layers add to the residual stream, so that every layer can
//!   recognise a token. The final norm starts small, so that the logits of the tied LM head are of order 1.
//! - One random row is added to the embedding of every token. No projection has a bias, and attention by
//!   position alone needs something that is the same in every token.
//! - Some query heads of layer 0, whose number is in the recipe, attend to the previous token. This is the
//!   first half of an induction circuit (Olsson et al. 2022, arXiv:2209.11895). Training may keep or undo it.

use bitkv_stats::Rng;

use crate::{model::Shape, recipe::WeightInit};

/// The standard deviation of the embedding around the shared row, and of the shared row itself.
const EMBEDDING: f32 = 0.25;
/// The initial weights of the final norm.
const FINAL_NORM: f32 = 0.25;
/// The number of rotary pairs that a previous-token head uses. They are the pairs with the fastest rotation,
/// which distinguish neighbours.
const PAIRS: usize = 4;

/// Returns the initial values of every parameter, in the order of [`Shape::parameters`].
pub(crate) fn initial_values(shape: &Shape, start: &WeightInit, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = Rng::new(seed);
    let shared: Vec<f32> = (0..shape.hidden).map(|_| rng.normal() * EMBEDDING).collect();
    let draw = |(name, dims): (String, Vec<usize>)| {
        let count: usize = dims.iter().product();
        let mut normal = |std: f32| -> Vec<f32> { (0..count).map(|_| rng.normal() * std).collect() };
        match name.rsplit('.').next().unwrap_or(&name) {
            "embed" => normal(EMBEDDING).iter().zip(shared.iter().cycle()).map(|(v, s)| v + s).collect(),
            "qkv" => {
                let mut weights = normal(0.08);
                if name.starts_with("layers.0.") {
                    add_previous_token_heads(shape, start, &shared, &mut weights);
                }
                weights
            }
            "gate_up" => normal(0.04),
            "o" | "down" => normal(0.01),
            "norm" => vec![FINAL_NORM; count],
            _ => vec![1.0; count],
        }
    };
    shape.parameters().into_iter().map(draw).collect()
}

/// Adds weights that make evenly spaced query heads, and the KV heads that they read, attend to the previous
/// token.
fn add_previous_token_heads(shape: &Shape, start: &WeightInit, shared: &[f32], qkv: &mut [f32]) {
    let (group, count) = (shape.query_heads / shape.kv_heads, start.previous_token_heads.min(shape.kv_heads));
    let amplitude = start.amplitude;
    for query in (0..count).map(|i| i * shape.query_heads / count) {
        let key = shape.query_heads + query / group;
        for pair in 0..PAIRS.min(shape.head_dim / 2) {
            let angle = 1.0 / (shape.rope_theta as f32).powf(2.0 * pair as f32 / shape.head_dim as f32);
            // The key is rotated ahead by one position, so that it matches queries one token later.
            add_response(shape, shared, qkv, query, pair, [amplitude, 0.0]);
            add_response(shape, shared, qkv, key, pair, [amplitude * angle.cos(), amplitude * angle.sin()]);
        }
    }
}

/// Adds weights to `qkv` so that one rotary pair of one head has the value `value` for the row that all
/// embeddings share.
fn add_response(shape: &Shape, shared: &[f32], qkv: &mut [f32], head: usize, pair: usize, value: [f32; 2]) {
    let norm2: f32 = shared.iter().map(|v| v * v).sum();
    // The norm before the layer divides by the root mean square of the embedding with its shared row.
    let rms = EMBEDDING * std::f32::consts::SQRT_2;
    for (part, value) in value.into_iter().enumerate() {
        let row = head * shape.head_dim + pair + part * shape.head_dim / 2;
        let weights = &mut qkv[row * shape.hidden..][..shape.hidden];
        weights.iter_mut().zip(shared).for_each(|(w, s)| *w += value * rms * s / norm2);
    }
}
