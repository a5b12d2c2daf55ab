//! Measures which tokens of a context are needed to repeat it, as KVzip does.
//!
//! Source: Kim et al. 2025 (KVzip), arXiv:2505.23416, as implemented by kvpress' `kvzip` press. The model
//! reads a request to repeat the context and then the context again, chunk by chunk. The score of a token is
//! the most attention that any query of the KV head's group pays to it. Attention is computed over the sinks,
//! the chunk and the repetition itself.

use bitkv_bitnet::{Cache, KvCache, ProbeOutput, Probes};
use bitkv_kernels::attention::{Floats, Input, Statistics, Wanted, attend};
use rayon::prelude::*;

use bitkv_models::LoadedModel;

use crate::{Result, error::bail};

/// The number of tokens that are repeated at a time; fewer if the model has too few positions.
const CHUNK: usize = 2048;
/// The fewest positions that must be left for a repetition.
const FEWEST: usize = 16;
/// The number of first tokens of the context, which every chunk may attend to.
const SINKS: usize = 4;
/// The number of last tokens of a chunk, which the request for the next chunk quotes.
const QUOTED: usize = 8;
const FIRST_REQUEST: &str = "\n\nRepeat the previous context exactly.";
const NEXT_REQUEST: &str = "\n\nRepeat the part of the previous context exactly, starting with";
const SUFFIX: &str = "\n";
/// The bytes of the longest request, in which a quoted token counts as one byte.
const REQUEST_BYTES: usize = NEXT_REQUEST.len() + QUOTED + SUFFIX.len();

/// Returns the most tokens that a repetition adds to the cache of `context` tokens: the longest request and
/// one chunk. Returns `None` if the model has too few positions to repeat the context. Without a model that
/// has a tokenizer, every byte of the requests counts as a token, because no tokenizer needs more.
pub fn added_tokens(positions: usize, context: usize, loaded: Option<&LoadedModel>) -> Option<usize> {
    let requests = loaded.and_then(|loaded| Requests::new(loaded).ok());
    let request = requests.map_or(REQUEST_BYTES, |requests| requests.longest());
    let chunk = longest_chunk(positions, context, request)?;
    Some(request + chunk.min(context))
}

/// Returns the number of tokens that can be repeated at a time after `context` tokens and a request of
/// `request` tokens; `None` if the model has too few positions.
fn longest_chunk(positions: usize, context: usize, request: usize) -> Option<usize> {
    let room = positions.saturating_sub(context + request);
    (room >= FEWEST.min(context)).then(|| CHUNK.min(room))
}

/// Returns the most attention paid to each token while the context is repeated,
/// `[layers * kv_heads][tokens]`. `cache` must hold the whole `context`.
///
/// # Errors
/// Returns an error if the model has no tokenizer or too few positions are left for the repetition.
pub fn attention(loaded: &LoadedModel, cache: &Cache, context: &[u32]) -> Result<Vec<Vec<f32>>> {
    let config = loaded.config();
    let requests = Requests::new(loaded)?;
    let Some(chunk) = longest_chunk(config.max_position_embeddings, context.len(), requests.longest()) else {
        bail!(
            Unfit,
            "kvzip repeats the context, but {} has {} positions and the context takes {} of them: shorten it",
            loaded.name,
            config.max_position_embeddings,
            context.len()
        );
    };
    let mut scores = vec![vec![0.0; context.len()]; config.num_hidden_layers * config.num_key_value_heads];
    for first in (0..context.len()).step_by(chunk) {
        let span = first..context.len().min(first + chunk);
        let mut repeat = requests.before_chunk(context, first);
        repeat.extend_from_slice(&context[span.clone()]);
        let probes = Probes { qkv: true, ..Probes::default() };
        let output = loaded.model.forward(&repeat, &mut cache.clone(), Some(&probes))?;
        let probed = output.probed.unwrap_or_default();
        let score_head = |(head, to): (usize, &mut Vec<f32>)| {
            let part = most_attention(loaded, cache, &probed, head, span.clone());
            to[span.clone()].copy_from_slice(&part);
        };
        scores.par_iter_mut().enumerate().for_each(score_head);
    }
    Ok(scores)
}

/// The tokens of the requests to repeat a chunk.
struct Requests {
    first: Vec<u32>,
    next: Vec<u32>,
    suffix: Vec<u32>,
}

impl Requests {
    fn new(loaded: &LoadedModel) -> Result<Requests> {
        let tokenizer = loaded.tokenizer()?;
        let encode = |text| tokenizer.encode_bare(text);
        Ok(Requests { first: encode(FIRST_REQUEST)?, next: encode(NEXT_REQUEST)?, suffix: encode(SUFFIX)? })
    }

    /// Returns the number of tokens of the longest request.
    fn longest(&self) -> usize {
        self.first.len().max(self.next.len() + QUOTED) + self.suffix.len()
    }

    /// Returns the tokens of the request before the chunk that begins at position `first`.
    fn before_chunk(&self, context: &[u32], first: usize) -> Vec<u32> {
        let quoted = match first {
            0 => &[][..],
            _ => &context[first.saturating_sub(QUOTED)..first],
        };
        let request = if first == 0 { &self.first } else { &self.next };
        [request, quoted, &self.suffix].concat()
    }
}

/// Returns the most attention that any repeating query of the group of a KV head pays to each token of
/// `span`. `head` counts the KV heads of all layers.
fn most_attention(
    loaded: &LoadedModel,
    cache: &Cache,
    probed: &ProbeOutput,
    head: usize,
    span: std::ops::Range<usize>,
) -> Vec<f32> {
    let config = loaded.config();
    let (heads, kv_heads, width) = (config.num_attention_heads, config.num_key_value_heads, config.head_dim);
    let (layer, kv, group) = (head / kv_heads, head % kv_heads, heads / kv_heads);
    let columns = |rows: &[f32], stride: usize, at: usize, width: usize| -> Vec<f32> {
        rows.chunks_exact(stride).flat_map(|row| &row[at..at + width]).copied().collect()
    };
    let queries = columns(&probed.queries[layer], heads * width, kv * group * width, group * width);
    let sinks = SINKS.min(span.start);
    let cached = cache.keys_f32(layer, kv);
    let mut keys = cached[..sinks * width].to_vec();
    keys.extend_from_slice(&cached[span.start * width..span.end * width]);
    keys.extend(columns(&probed.new_keys[layer], kv_heads * width, kv * width, width));
    let input = Input {
        queries: &queries,
        keys: Floats::F32(&keys),
        values: Floats::F32(&keys),
        group,
        head_dim: width,
        offset: sinks + span.len(),
        mask: None,
        scale: 1.0 / (width as f32).sqrt(),
    };
    let wanted = Wanted { largest: true, ..Wanted::default() };
    let mut statistics = Statistics::new(group, input.tokens(), input.visible(), &wanted);
    attend(&input, &mut vec![0.0; queries.len()], Some(&mut statistics));
    let largest = |token: usize| {
        let per_query_head = (0..group).map(|q| statistics.largest[q * input.visible() + sinks + token]);
        per_query_head.fold(0.0, f32::max)
    };
    (0..span.len()).map(largest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_needs_positions_after_the_context() {
        // 1024 positions hold 1000 tokens, a request of 8 and a chunk of 16, but not a token more.
        assert_eq!(longest_chunk(1024, 1000, 8), Some(16));
        assert_eq!(longest_chunk(1024, 1001, 8), None);
        assert_eq!(longest_chunk(1024, 2000, 8), None);
        assert_eq!(longest_chunk(1 << 20, 1000, 8), Some(CHUNK));
        // A context of 3 tokens needs no more than 3 positions.
        assert_eq!(longest_chunk(14, 3, 8), Some(3));
        // The added tokens are those of the request and of the chunk.
        let request = REQUEST_BYTES;
        assert_eq!(added_tokens(1000 + request + 20, 1000, None), Some(request + 20));
        assert_eq!(added_tokens(1000 + request + 15, 1000, None), None);
        assert_eq!(added_tokens(4096, 100, None), Some(request + 100));
    }
}
