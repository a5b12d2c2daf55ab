//! Greedy continuations, and the time that decoding a token takes.

use std::time::Instant;

use bitkv_bitnet::{Cache, KvCache};
use bitkv_models::LoadedModel;
use bitkv_stats::argmax;
use candle_core::Tensor;

use super::{batch::forward, deadline::Deadline};
use crate::{Result, context::Context, logits::borrow};

/// The number of tokens that are generated; fewer if the continuation is shorter.
const TOKENS: usize = 64;
/// The number of tokens whose decoding is timed.
const TIMED_TOKENS: usize = 8;

/// Returns the greedy continuation of each cache after the first token of the continuation. The first token
/// is given, because its prediction would come from the prefill, before anything was evicted.
///
/// # Errors
/// Returns an error if the model fails, or if the deadline passes.
pub(super) fn greedy(
    context: &Context<'_>,
    mut caches: Vec<Cache>,
    deadline: Deadline,
) -> Result<Vec<Vec<u32>>> {
    let model = &context.loaded().model;
    let mut next = vec![context.continuation()[0]; caches.len()];
    let mut runs = vec![Vec::new(); caches.len()];
    for _ in 0..TOKENS.min(context.continuation().len()) {
        deadline.check()?;
        let tokens: Vec<&[u32]> = next.chunks(1).collect();
        next = most_likely(&model.logits(&forward(model, &tokens, &mut caches)?)?)?;
        runs.iter_mut().zip(&next).for_each(|(run, &token)| run.push(token));
    }
    Ok(runs)
}

/// Returns the most likely token of every row.
fn most_likely(logits: &Tensor) -> Result<Vec<u32>> {
    let classes = logits.dim(1)?;
    borrow(logits, |values| values.chunks_exact(classes).map(|row| argmax(row).unwrap_or(0) as u32).collect())
}

/// Returns the median of the seconds that decoding one token through a copy of the cache takes.
///
/// # Errors
/// Returns an error if the model fails.
pub(super) fn decode_seconds(loaded: &LoadedModel, cache: &Cache) -> Result<f64> {
    let mut cache = cache.clone();
    let room = loaded.config().max_position_embeddings.saturating_sub(cache.tokens_seen());
    let mut seconds = Vec::new();
    for _ in 0..TIMED_TOKENS.min(room) {
        let started = Instant::now();
        loaded.model.decode(0, &mut cache)?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    Ok(bitkv_stats::median(&seconds).unwrap_or(f64::NAN))
}
