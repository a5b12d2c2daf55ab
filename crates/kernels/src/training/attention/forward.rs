//! The forward pass of attention over one sequence.

use super::Attention;
use crate::simd::dispatch;
use crate::training::bf16::{BLOCK, Blocks, SIDE, multiply, pack_a, pack_b, pack_b_transposed};
use crate::vector::{exp, max, sum};

/// Buffers of one task, reused for every head.
pub(super) struct Forward {
    /// One rotated head of every row, `[tokens, head_dim]`.
    rows: Vec<f32>,
    keys: Vec<u16>,
    values: Vec<u16>,
    query: Vec<u16>,
    /// 32 rows of scores, which then become unnormalised probabilities.
    scores: Vec<f32>,
    probabilities: Vec<u16>,
    output: Vec<f32>,
}

impl Forward {
    pub(super) fn new(shape: &Attention) -> Forward {
        let (t, d) = (shape.tokens, shape.head_dim);
        Forward {
            rows: vec![0.0; t * d],
            keys: vec![0; t * d],
            values: vec![0; t * d],
            query: vec![0; SIDE * d],
            scores: vec![0.0; SIDE * t],
            probabilities: vec![0; SIDE * t],
            output: vec![0.0; SIDE * d],
        }
    }

    /// Writes the outputs and softmax denominators of the query heads that share KV head `head`.
    pub(super) fn kv_head(
        &mut self,
        shape: &Attention,
        qkv: &[f32],
        head: usize,
        y: &mut [f32],
        log_sums: &mut [f32],
    ) {
        let (t, d) = (shape.tokens, shape.head_dim);
        let (rows, columns) = (t / SIDE, d / SIDE);
        shape.rotated(qkv, shape.query_heads + head, 1.0, &mut self.rows);
        let (width, at) = (shape.input_width(), (shape.query_heads + shape.kv_heads + head) * d);
        for (k, j) in (0..rows).flat_map(|k| (0..columns).map(move |j| (k, j))) {
            let from = k * SIDE * d + j * SIDE;
            pack_b_transposed(&mut self.keys[(k * columns + j) * BLOCK..], &self.rows[from..], d);
            let from = k * SIDE * width + at + j * SIDE;
            pack_b(&mut self.values[(j * rows + k) * BLOCK..], &qkv[from..], width);
        }
        for query in head * shape.group()..(head + 1) * shape.group() {
            shape.rotated(qkv, query, shape.scale(), &mut self.rows);
            for block in 0..rows {
                self.query_block(shape, query, block, y, &mut log_sums[query * t + block * SIDE..][..SIDE]);
            }
        }
    }

    /// Computes attention for 32 queries of one head over the keys that they may see.
    fn query_block(
        &mut self,
        shape: &Attention,
        head: usize,
        block: usize,
        y: &mut [f32],
        log_sums: &mut [f32],
    ) {
        let (t, d) = (shape.tokens, shape.head_dim);
        let (rows, columns) = (t / SIDE, d / SIDE);
        for (j, out) in self.query.chunks_exact_mut(BLOCK).enumerate() {
            pack_a(out, &self.rows[block * SIDE * d + j * SIDE..], d);
        }
        let query = Blocks::dense(&self.query);
        for k in 0..=block {
            let keys = Blocks::dense(&self.keys[k * columns * BLOCK..]);
            multiply(&mut self.scores[k * SIDE..], t, query, keys, columns, false);
        }
        let mut inverse = [0.0; SIDE];
        softmax_rows(&mut self.scores, t, block, log_sums, &mut inverse);
        for k in 0..=block {
            pack_a(&mut self.probabilities[k * BLOCK..], &self.scores[k * SIDE..], t);
        }
        for j in 0..columns {
            let values = Blocks::dense(&self.values[j * rows * BLOCK..]);
            let probabilities = Blocks::dense(&self.probabilities);
            multiply(&mut self.output[j * SIDE..], d, probabilities, values, block + 1, false);
        }
        for (r, out) in self.output.chunks_exact(d).enumerate() {
            let to = &mut y[(block * SIDE + r) * shape.output_width() + head * d..][..d];
            to.iter_mut().zip(out).for_each(|(y, o)| *y = o * inverse[r]);
        }
    }
}

dispatch! {
/// Replaces 32 rows of scores by `e^(score - maximum)`; keys that a query may not see become 0.
fn softmax_rows(scores: &mut [f32], stride: usize, block: usize, log_sums: &mut [f32], inverse: &mut [f32; 32]) {
    for r in 0..32 {
        let (visible, width) = (block * 32 + r + 1, (block + 1) * 32);
        let row = &mut scores[r * stride..][..width];
        let largest = max(&row[..visible]);
        row[visible..].fill(f32::NEG_INFINITY);
        for s in row.iter_mut() {
            *s = exp(*s - largest);
        }
        row[visible..].fill(0.0);
        let total = sum(row);
        inverse[r] = 1.0 / total;
        log_sums[r] = largest + total.ln();
    }
}
}
