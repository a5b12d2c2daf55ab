//! Claim 1: how much of the memory is KV cache.

use anyhow::Result;
use bitkv_bitnet::KvCache;
use bitkv_record::{Accounting, MemoryRow};

use super::Options;
use crate::{
    Subject,
    memory::{Shape, published_models, row},
};

/// Context lengths of the published table, by model.
const CONTEXTS: [&[usize]; 2] = [&[512, 1024, 2048], &[512, 1024, 2048, 4096]];

/// Both published models under both accountings.
pub(super) fn published() -> Result<Vec<MemoryRow>> {
    let mut rows = Vec::new();
    for (shape, contexts) in published_models()?.iter().zip(CONTEXTS) {
        for accounting in [Accounting::Published, Accounting::Actual] {
            for &context in contexts {
                rows.push(shape.row(accounting, context)?);
            }
        }
    }
    Ok(rows)
}

/// The model at hand: both accountings from its configuration, and the bytes of its real buffers.
pub(super) fn measured(subject: &Subject, options: &Options) -> Result<Vec<MemoryRow>> {
    let config = subject.config();
    let shape = Shape { name: subject.name.clone(), config: config.clone() };
    let mut rows = Vec::new();
    for context in [256, 512, 1024, 2048, 4096].into_iter().filter(|&n| n <= config.max_position_embeddings) {
        rows.push(shape.row(Accounting::Published, context)?);
        rows.push(shape.row(Accounting::Actual, context)?);
    }
    let bos = config.bos_token_id.unwrap_or(0);
    let mut cache = subject.model.new_cache();
    subject.model.forward(&vec![bos; options.context_tokens], &mut cache, None)?;
    let activations = (options.context_tokens * config.hidden_size * size_of::<f32>()) as u64;
    let weights = subject.model.weight_bytes() as u64;
    let kv = cache.bytes() as u64;
    debug_assert_eq!(cache.tokens_seen(), options.context_tokens);
    rows.push(row(&subject.name, Accounting::Measured, options.context_tokens, weights, kv, activations));
    Ok(rows)
}
