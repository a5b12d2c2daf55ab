//! Where training begins. A small model sees few tokens, so it starts where in-context copying is near.
//!
//! - The embedding is large against what layers add to the residual stream, so that a token can be
//!   recognised in every layer; the final norm starts small, so that the tied head's logits are of order 1.
//! - All embeddings share one random row: no projection has a bias, and attention by position alone needs
//!   something that is the same in every token.
//! - As many query heads of layer 0 as the recipe says attend to the previous token: the first half of an
//!   induction circuit (Olsson et al. 2022, arXiv:2209.11895). Training may keep or undo it.

use bitkv_stats::Rng;

use crate::{model::Shape, recipe::Start};

/// Standard deviation of the embedding around the shared row, and of that row.
const EMBEDDING: f32 = 0.25;
/// The final norm.
const FINAL_NORM: f32 = 0.25;
/// Rotary pairs a previous-token head uses: the fastest, which tell neighbours apart.
const PAIRS: usize = 4;

/// Values of every parameter, in the order of [`Shape::parameters`].
pub(crate) fn values(shape: &Shape, start: &Start, seed: u64) -> Vec<Vec<f32>> {
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
                    previous_token_heads(shape, start, &shared, &mut weights);
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

/// Adds to evenly spaced query heads, and to the KV heads they read, what makes them look one token back.
fn previous_token_heads(shape: &Shape, start: &Start, shared: &[f32], qkv: &mut [f32]) {
    let (group, count) = (shape.query_heads / shape.kv_heads, start.previous_token_heads.min(shape.kv_heads));
    let amplitude = start.amplitude;
    for query in (0..count).map(|i| i * shape.query_heads / count) {
        let key = shape.query_heads + query / group;
        for pair in 0..PAIRS.min(shape.head_dim / 2) {
            let angle = 1.0 / (shape.rope_theta as f32).powf(2.0 * pair as f32 / shape.head_dim as f32);
            // The key is turned by one position ahead, so that it meets queries one token later.
            respond(shape, shared, qkv, query, pair, [amplitude, 0.0]);
            respond(shape, shared, qkv, key, pair, [amplitude * angle.cos(), amplitude * angle.sin()]);
        }
    }
}

/// Makes one rotary pair of one head answer `value` to the row that all tokens share.
fn respond(shape: &Shape, shared: &[f32], qkv: &mut [f32], head: usize, pair: usize, value: [f32; 2]) {
    let norm2: f32 = shared.iter().map(|v| v * v).sum();
    // The norm in front of the layer divides by the root mean square of the embedding with its shared row.
    let rms = EMBEDDING * std::f32::consts::SQRT_2;
    for (part, value) in value.into_iter().enumerate() {
        let row = head * shape.head_dim + pair + part * shape.head_dim / 2;
        let weights = &mut qkv[row * shape.hidden..][..shape.hidden];
        weights.iter_mut().zip(shared).for_each(|(w, s)| *w += value * rms * s / norm2);
    }
}
