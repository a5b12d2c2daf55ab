//! How much memory and disk a training takes, estimated from its recipe before anything is allocated.

use std::path::Path;

use bitkv_bytes::{MemoryLimit, check_disk};

use crate::{
    Result,
    model::Shape,
    recipe::{Recipe, Stage},
    trainer::MICRO_BATCH,
};

/// The bytes of an f32 value.
const SINGLE: u64 = 4;
/// The copies of each parameter at the peak, which is while a checkpoint is written: the weights of the model
/// and of the optimizer, two moments, a gradient, and the three tensors of the checkpoint twice.
const COPIES: u64 = 5 + 2 * STORED;
/// The tensors that a checkpoint stores of each parameter.
const STORED: u64 = 3;
/// The bytes of one position of a sequence: token, target, distance and prediction, twice.
const POSITION: u64 = 32;
/// The bytes of the program, of its threads and of a tokenizer.
const PROGRAM: u64 = 80 << 20;

/// Checks before a training that its memory and its disk can be had.
///
/// # Errors
/// Fails if one of them cannot. The message has both numbers.
pub fn check(recipe: &Recipe, folder: &Path, limit: MemoryLimit) -> Result<()> {
    let what = format!("the training of {}", recipe.name);
    limit.check(&what, memory_bytes(recipe))?;
    // A new checkpoint is complete before the old one is removed.
    let stored = parameters(&recipe.shape).saturating_mul(2 * STORED * SINGLE);
    Ok(check_disk(folder, what, stored)?)
}

/// Returns an estimate of the peak bytes of memory of a training, of at least what it takes.
pub fn memory_bytes(recipe: &Recipe) -> u64 {
    let shape = &recipe.shape;
    let stages = recipe.stages.iter().map(|stage| step_bytes(shape, stage));
    let parameters = parameters(shape).saturating_mul(COPIES * SINGLE);
    parameters.saturating_add(stages.max().unwrap_or(0)).saturating_add(PROGRAM)
}

/// Returns the number of trained values of a shape. A number that does not fit is the largest.
fn parameters(shape: &Shape) -> u64 {
    let [d, f, heads, kv] = [shape.hidden, shape.intermediate, shape.query_heads, shape.kv_heads];
    let [d, f, heads, kv] = [d, f, heads, kv].map(|value| value as u64);
    let (q, kv) = (heads.saturating_mul(shape.head_dim as u64), kv.saturating_mul(shape.head_dim as u64));
    let matrices = q.saturating_add(kv).saturating_mul(2).saturating_add(f.saturating_mul(3));
    let layer = matrices.saturating_mul(d).saturating_add(2 * d + q.saturating_add(f));
    let layers = layer.saturating_mul(shape.layers as u64);
    layers.saturating_add((shape.vocabulary as u64).saturating_mul(d)).saturating_add(d)
}

/// Returns the bytes of one step: its sequences, and what the backward pass of one micro-batch keeps.
fn step_bytes(shape: &Shape, stage: &Stage) -> u64 {
    let sequences = (stage.batch as u64).saturating_mul(stage.length as u64);
    let tokens = sequences.min(MICRO_BATCH.max(stage.length) as u64);
    let wide = [6 * shape.hidden, 6 * shape.intermediate].map(|values| values as u64);
    let heads = (shape.query_heads as u64).saturating_mul(8).saturating_mul(shape.head_dim as u64);
    let layer = wide[0].saturating_add(wide[1]).saturating_add(heads).saturating_mul(shape.layers as u64);
    let values = layer.saturating_mul(2).saturating_add(2 * shape.vocabulary as u64);
    let activations = tokens.saturating_mul(values).saturating_mul(SINGLE);
    activations.saturating_add(sequences.saturating_mul(POSITION))
}
