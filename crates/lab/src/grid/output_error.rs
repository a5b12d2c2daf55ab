//! The error that eviction causes in the output of attention, for the queries of the full cache's run.

use bitkv_bitnet::{Cache, KvCache};
use bitkv_kernels::attention::{Input, attend};

use crate::{Result, context::Context, metrics};

/// Returns the relative error of the attention output (before sub-norm and output projection), averaged over
/// layers. The queries, keys and values of the continuation are those of the full cache's run; only the
/// context is compressed.
///
/// # Errors
/// Returns an error if the continuation was not observed.
pub(super) fn relative(context: &Context<'_>, compressed: &Cache) -> Result<f64> {
    let (full, config) = (context.probed_continuation(), context.loaded().config());
    let mut cache = compressed.clone();
    let mut layers = Vec::new();
    for layer in 0..config.num_hidden_layers {
        cache.append(layer, &full.new_keys[layer], &full.new_values[layer]);
        layers.push(attention_output(context, &cache, layer));
    }
    Ok(metrics::output_error(&full.attention_output, &layers))
}

/// Returns the attention output of one layer, `[tokens * query_heads * head_dim]`.
fn attention_output(context: &Context<'_>, cache: &Cache, layer: usize) -> Vec<f32> {
    let config = context.loaded().config();
    let (heads, kv_heads, width) = (config.num_attention_heads, config.num_key_value_heads, config.head_dim);
    let (group, stride) = (heads / kv_heads, heads * width);
    let queries = &context.probed_continuation().queries[layer];
    let mut out = vec![0.0; queries.len()];
    for head in 0..kv_heads {
        let (first, span) = (head * group * width, group * width);
        let group_queries: Vec<f32> =
            queries.chunks_exact(stride).flat_map(|row| &row[first..first + span]).copied().collect();
        let view = cache.view(layer, head);
        let input = Input {
            queries: &group_queries,
            keys: view.keys,
            values: view.values,
            group,
            head_dim: width,
            offset: view.positions.len() - queries.len() / stride,
            mask: view.mask,
            scale: 1.0 / (width as f32).sqrt(),
        };
        let mut group_out = vec![0.0; group_queries.len()];
        attend(&input, &mut group_out, None);
        for (to, from) in out.chunks_exact_mut(stride).zip(group_out.chunks_exact(span)) {
            to[first..first + span].copy_from_slice(from);
        }
    }
    out
}
