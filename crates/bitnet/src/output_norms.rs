//! How much a cached value can add to the output of its attention block.

use bitkv_kernels::dense::{self, Dense};
use rayon::prelude::*;

use crate::{Model, attention::Attention};

/// Tokens whose projected values exist at a time.
const BLOCK: usize = 256;

impl Model {
    /// L1 norms of cached values behind the output projection: for query head `h` and the token `j` that its KV head
    /// holds, `sum_i |(W_h v_j)_i|`, where `W_h [hidden, head_dim]` are the columns of `o_proj` that read head `h`.
    /// CriticalKV (arXiv 2502.03805) multiplies attention by it.
    ///
    /// `values` is `[layers * kv_heads][keys * head_dim]` as [`ProbeOutput::values`](crate::ProbeOutput::values) gives them;
    /// the result is `[layers * query_heads][keys]`. Weights are ternary codes times their scale, and values are
    /// not quantised, so that every token counts by itself. `with_sub_norm` multiplies values by the gain of the
    /// norm in front of `o_proj` (its division by the token's own root mean square is left out, being the same for
    /// all keys); models without that norm give the plain norms.
    ///
    /// # Panics
    /// When `values` has not one row for each layer and KV head, or a row is not whole tokens.
    pub fn value_output_norms(&self, values: &[Vec<f32>], with_sub_norm: bool) -> Vec<Vec<f32>> {
        let heads = self.config().num_key_value_heads;
        assert_eq!(
            values.len(),
            self.attentions().count() * heads,
            "values are those of every layer and KV head"
        );
        let layers = self.attentions().zip(values.chunks_exact(heads));
        layers.flat_map(|(attention, values)| attention.value_output_norms(values, with_sub_norm)).collect()
    }
}

impl Attention {
    /// One layer's norms, `[query_heads][keys]`, of `values [kv_heads][keys * head_dim]`.
    fn value_output_norms(&self, values: &[Vec<f32>], with_sub_norm: bool) -> Vec<Vec<f32>> {
        let (width, head_dim) = (self.heads * self.head_dim, self.head_dim);
        let weights = self.o_proj.dequantised();
        let gain = self.sub_norm.as_ref().filter(|_| with_sub_norm).map(|norm| norm.gain());
        let of_head = |head: usize| {
            let columns = head * head_dim..(head + 1) * head_dim;
            let write = |row: usize, out: &mut [f32]| {
                out.copy_from_slice(&weights[row * width..][columns.clone()]);
                if let Some(gain) = gain {
                    out.iter_mut().zip(&gain[columns.clone()]).for_each(|(w, gain)| *w *= gain);
                }
            };
            let rows = weights.len() / width;
            l1_norms(&values[head / (self.heads / self.kv_heads)], head_dim, rows, &write)
        };
        (0..self.heads).map(of_head).collect()
    }
}

/// L1 norms of the products of `values [keys, head_dim]` with a matrix of `rows` rows that `write` gives, one for each key.
///
/// # Panics
/// When `values` is not whole rows.
pub fn l1_norms(
    values: &[f32],
    head_dim: usize,
    rows: usize,
    write: &(dyn Fn(usize, &mut [f32]) + Sync),
) -> Vec<f32> {
    assert!(values.len().is_multiple_of(head_dim), "values are [keys, {head_dim}]");
    let block = |values: &[f32]| {
        let projected = dense::matmul(values, head_dim, Dense::Rows { rows, write });
        let norm = |row: &[f32]| row.iter().map(|y| f64::from(y.abs())).sum::<f64>() as f32;
        projected.par_chunks_exact(rows).map(norm).collect::<Vec<_>>()
    };
    values.chunks(BLOCK * head_dim).flat_map(block).collect()
}
