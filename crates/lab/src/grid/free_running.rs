//! What a cache goes on with by itself.

use std::time::Instant;

use anyhow::Result;
use bitkv_bitnet::{Cache, KvCache};
use bitkv_stats::argmax;

use crate::{Subject, context::Context};

/// Tokens generated, fewer where the continuation is shorter.
const TOKENS: usize = 64;
/// Tokens that decoding is timed over.
const TIMED: usize = 8;

/// Greedy tokens behind the first token of the continuation. That one is given, because a prediction of it would
/// come from the prefill, before anything was cut.
///
/// # Errors
/// When the model fails.
pub(super) fn greedy(context: &Context<'_>, mut cache: Cache) -> Result<Vec<u32>> {
    let model = &context.subject().model;
    let mut token = context.continuation()[0];
    let mut tokens = Vec::new();
    for _ in 0..TOKENS.min(context.continuation().len()) {
        let logits = model.decode(token, &mut cache)?;
        token = argmax(&logits).unwrap_or(0) as u32;
        tokens.push(token);
    }
    Ok(tokens)
}

/// Seconds to decode a token through the cache, the median of a few; the cache is left as it is.
///
/// # Errors
/// When the model fails.
pub(super) fn decode_seconds(subject: &Subject, cache: &Cache) -> Result<f64> {
    let mut cache = cache.clone();
    let room = subject.config().max_position_embeddings.saturating_sub(cache.tokens_seen());
    let mut seconds = Vec::new();
    for _ in 0..TIMED.min(room) {
        let started = Instant::now();
        subject.model.decode(0, &mut cache)?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    Ok(bitkv_stats::median(&seconds).unwrap_or(f64::NAN))
}
