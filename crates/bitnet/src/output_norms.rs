//! Norms of cached values after the output projection: how much a value can add to the output of its
//! attention block.

use bitkv_kernels::dense::{self, Dense};
use rayon::prelude::*;

use crate::{Model, attention::Attention};

/// The number of tokens whose values are projected at a time.
const BLOCK: usize = 256;

impl Model {
    /// Returns the L1 norms of cached values after the output projection. For query head `h` and a token `j`
    /// in the cache of its KV head, the norm is `sum_i |(W_h v_j)_i|`, where `W_h [hidden, head_dim]` are the
    /// columns of `o_proj` that read head `h`. The policy CriticalKV (arXiv 2502.03805) multiplies attention
    /// by these norms.
    ///
    /// `values` is `[layers * kv_heads][keys * head_dim]`, as in
    /// [`ProbeOutput::values`](crate::ProbeOutput::values); the result is `[layers * query_heads][keys]`.
    /// Weights are ternary codes times their scale. Values are not quantised, so the norm of a token does not
    /// depend on other tokens. `with_sub_norm` multiplies values by the gain of the norm before `o_proj`, if
    /// the model has that norm. The division by the token's root mean square is left out, because it is the
    /// same for all keys.
    ///
    /// # Panics
    /// Panics if `values` does not have one row per layer and KV head, or if a row does not hold whole
    /// tokens.
    pub fn value_output_norms(&self, values: &[Vec<f32>], with_sub_norm: bool) -> Vec<Vec<f32>> {
        let heads = self.config().num_key_value_heads;
        assert_eq!(
            values.len(),
            self.attentions().count() * heads,
            "values have one row per layer and KV head"
        );
        let layers = self.attentions().zip(values.chunks_exact(heads));
        layers.flat_map(|(attention, values)| attention.value_output_norms(values, with_sub_norm)).collect()
    }
}

impl Attention {
    /// Returns one layer's norms, `[query_heads][keys]`, for `values [kv_heads][keys * head_dim]`.
    fn value_output_norms(&self, values: &[Vec<f32>], with_sub_norm: bool) -> Vec<Vec<f32>> {
        let (width, head_dim) = (self.heads * self.head_dim, self.head_dim);
        let weights = self.o_proj.dequantised();
        let gain = self.sub_norm.as_ref().filter(|_| with_sub_norm).map(|norm| norm.gain());
        let head_norms = |head: usize| {
            let columns = head * head_dim..(head + 1) * head_dim;
            let write_row = |row: usize, out: &mut [f32]| {
                out.copy_from_slice(&weights[row * width..][columns.clone()]);
                if let Some(gain) = gain {
                    out.iter_mut().zip(&gain[columns.clone()]).for_each(|(w, gain)| *w *= gain);
                }
            };
            let rows = weights.len() / width;
            l1_norms(&values[head / (self.heads / self.kv_heads)], head_dim, rows, &write_row)
        };
        (0..self.heads).map(head_norms).collect()
    }
}

/// Returns the L1 norm of each row of `values [keys, head_dim]` times a matrix, `[keys]`. The matrix has
/// `rows` output rows of `head_dim` weights; `write_row` writes one of them.
///
/// # Panics
/// Panics if `values` does not hold whole rows.
pub fn l1_norms(
    values: &[f32],
    head_dim: usize,
    rows: usize,
    write_row: &(dyn Fn(usize, &mut [f32]) + Sync),
) -> Vec<f32> {
    assert!(values.len().is_multiple_of(head_dim), "values are [keys, {head_dim}]");
    let block = |values: &[f32]| {
        let projected = dense::matmul(values, head_dim, Dense::Rows { rows, write: write_row });
        let norm = |row: &[f32]| row.iter().map(|y| f64::from(y.abs())).sum::<f64>() as f32;
        projected.par_chunks_exact(rows).map(norm).collect::<Vec<_>>()
    };
    values.chunks(BLOCK * head_dim).flat_map(block).collect()
}
