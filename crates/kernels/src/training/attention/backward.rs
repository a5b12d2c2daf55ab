//! The backward pass of attention over one sequence.

use super::Attention;
use crate::simd::dispatch;
use crate::training::bf16::{
    BLOCK, Blocks, SIDE, multiply, pack_a, pack_a_transposed, pack_b, pack_b_transposed,
};
use crate::vector::{dot, exp};

/// Buffers of one task, reused for every head.
pub(super) struct Backward {
    /// One rotated head of every row, `[tokens, head_dim]`.
    rows: Vec<f32>,
    /// Keys as *A* blocks and as *B* blocks, values as *A* blocks.
    keys_a: Vec<u16>,
    keys_b: Vec<u16>,
    values_a: Vec<u16>,
    /// Queries and output gradients as *B* blocks, transposed (`_t`) and plain.
    query_t: Vec<u16>,
    query: Vec<u16>,
    output_t: Vec<u16>,
    output: Vec<u16>,
    d_query: Vec<f32>,
    d_key: Vec<f32>,
    d_value: Vec<f32>,
    /// The sum of `dy * y` over each row, `[tokens]`.
    delta: Vec<f32>,
}

impl Backward {
    pub(super) fn new(shape: &Attention) -> Backward {
        let size = shape.tokens * shape.head_dim;
        let (floats, blocks) = (|| vec![0.0f32; size], || vec![0u16; size]);
        Backward {
            rows: floats(),
            keys_a: blocks(),
            keys_b: blocks(),
            values_a: blocks(),
            query_t: blocks(),
            query: blocks(),
            output_t: blocks(),
            output: blocks(),
            d_query: floats(),
            d_key: floats(),
            d_value: floats(),
            delta: vec![0.0; shape.tokens],
        }
    }

    /// Writes the gradients of one KV head and of its query heads to `dqkv`.
    #[expect(clippy::too_many_arguments, reason = "inputs and outputs of one pass")]
    pub(super) fn kv_head(
        &mut self,
        shape: &Attention,
        qkv: &[f32],
        head: usize,
        y: &[f32],
        dy: &[f32],
        log_sums: &[f32],
        dqkv: &mut [f32],
    ) {
        let (t, d) = (shape.tokens, shape.head_dim);
        let (width, key) = (shape.input_width(), shape.query_heads + head);
        let value = key + shape.kv_heads;
        shape.rotated(qkv, key, 1.0, &mut self.rows);
        for (i, k, j) in blocks(t, d) {
            let from = k * SIDE * d + j * SIDE;
            pack_a(&mut self.keys_a[i..], &self.rows[from..], d);
            pack_b(&mut self.keys_b[i..], &self.rows[from..], d);
            pack_a(&mut self.values_a[i..], &qkv[k * SIDE * width + value * d + j * SIDE..], width);
        }
        self.d_key.fill(0.0);
        self.d_value.fill(0.0);
        for query in head * shape.group()..(head + 1) * shape.group() {
            self.query_head(shape, qkv, query, y, dy, &log_sums[query * t..][..t]);
            shape.rotated_back(&self.d_query, query, shape.scale(), dqkv);
        }
        shape.rotated_back(&self.d_key, key, 1.0, dqkv);
        for (p, dv) in self.d_value.chunks_exact(d).enumerate() {
            dqkv[p * width + value * d..][..d].copy_from_slice(dv);
        }
    }

    /// Computes the gradient of one query head and adds its share to the gradients of the keys and values.
    fn query_head(
        &mut self,
        shape: &Attention,
        qkv: &[f32],
        head: usize,
        y: &[f32],
        dy: &[f32],
        log_sums: &[f32],
    ) {
        let (t, d, width) = (shape.tokens, shape.head_dim, shape.output_width());
        shape.rotated(qkv, head, shape.scale(), &mut self.rows);
        row_dots(&y[head * d..], &dy[head * d..], width, d, &mut self.delta);
        for (i, k, j) in blocks(t, d) {
            let from = k * SIDE * d + j * SIDE;
            pack_b_transposed(&mut self.query_t[i..], &self.rows[from..], d);
            pack_b(&mut self.query[i..], &self.rows[from..], d);
            let from = k * SIDE * width + head * d + j * SIDE;
            pack_b_transposed(&mut self.output_t[i..], &dy[from..], width);
            pack_b(&mut self.output[i..], &dy[from..], width);
        }
        self.d_query.fill(0.0);
        for keys in 0..t / SIDE {
            for queries in keys..t / SIDE {
                self.block(d, keys, queries, log_sums);
            }
        }
    }

    /// Adds the gradients that 32 queries and 32 keys contribute. Scores are transposed, `[key][query]`.
    fn block(&mut self, d: usize, keys: usize, queries: usize, log_sums: &[f32]) {
        let columns = d / SIDE;
        let (key, query) = (keys * columns * BLOCK, queries * columns * BLOCK);
        let (mut p, mut ds) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);

        multiply(
            &mut p,
            SIDE,
            Blocks::dense(&self.keys_a[key..]),
            Blocks::dense(&self.query_t[query..]),
            columns,
            false,
        );
        multiply(
            &mut ds,
            SIDE,
            Blocks::dense(&self.values_a[key..]),
            Blocks::dense(&self.output_t[query..]),
            columns,
            false,
        );
        let rows = queries * SIDE..(queries + 1) * SIDE;
        score_gradient(&mut p, &mut ds, &log_sums[rows.clone()], &self.delta[rows], keys == queries);

        let (mut p_a, mut ds_a, mut ds_t) = ([0u16; BLOCK], [0u16; BLOCK], [0u16; BLOCK]);
        pack_a(&mut p_a, &p, SIDE);
        pack_a(&mut ds_a, &ds, SIDE);
        pack_a_transposed(&mut ds_t, &ds, SIDE, None);
        for j in 0..columns {
            let (at_key, at_query) = (keys * SIDE * d + j * SIDE, queries * SIDE * d + j * SIDE);
            let at = query + j * BLOCK;
            multiply(
                &mut self.d_value[at_key..],
                d,
                Blocks::dense(&p_a),
                Blocks::dense(&self.output[at..]),
                1,
                true,
            );
            multiply(
                &mut self.d_key[at_key..],
                d,
                Blocks::dense(&ds_a),
                Blocks::dense(&self.query[at..]),
                1,
                true,
            );
            let keys = Blocks::dense(&self.keys_b[key + j * BLOCK..]);
            multiply(&mut self.d_query[at_query..], d, Blocks::dense(&ds_t), keys, 1, true);
        }
    }
}

/// Returns the offset, the block row and the block column of each 32 x 32 block of a `[tokens, dim]` matrix.
fn blocks(tokens: usize, dim: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let columns = dim / SIDE;
    (0..tokens / SIDE * columns).map(move |i| (i * BLOCK, i / columns, i % columns))
}

dispatch! {
/// Writes the inner product of each row of `y` with the same row of `dy` to `out`.
fn row_dots(y: &[f32], dy: &[f32], stride: usize, dim: usize, out: &mut [f32]) {
    for (p, out) in out.iter_mut().enumerate() {
        *out = dot(&y[p * stride..][..dim], &dy[p * stride..][..dim]);
    }
}
}

dispatch! {
/// Replaces the scores in `p` by probabilities, and the products `v . dy` in `ds` by the gradient of the
/// scores. Both are `[key][query]`.
fn score_gradient(p: &mut [f32; 1024], ds: &mut [f32; 1024], log_sums: &[f32], delta: &[f32], diagonal: bool) {
    for key in 0..32 {
        let (p, ds) = (&mut p[key * 32..][..32], &mut ds[key * 32..][..32]);
        for query in 0..32 {
            let visible = !diagonal || key <= query;
            let probability = if visible { exp(p[query] - log_sums[query]) } else { 0.0 };
            p[query] = probability;
            ds[query] = probability * (ds[query] - delta[query]);
        }
    }
}
}
