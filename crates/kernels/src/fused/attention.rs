//! Causal grouped-query attention with rotary positions, forward and backward, without a T x T matrix.

use rayon::prelude::*;

use super::vector::{dot, exp, max, sum};
use crate::bf16::{BLOCK, Blocks, SIDE, multiply, pack_a, pack_a_transposed, pack_b, pack_b_transposed};
use crate::simd::dispatch;

/// The extent of attention over sequences that start at position 0.
///
/// Input rows are `[queries | keys | values]` of `query_heads + 2 * kv_heads` heads; output rows hold
/// `query_heads` heads. Query head `h` reads KV head `h / (query_heads / kv_heads)`.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Tokens of each sequence, a multiple of 32.
    tokens: usize,
    query_heads: usize,
    kv_heads: usize,
    /// Length of one head, a multiple of 32.
    head_dim: usize,
    /// `[tokens, head_dim / 2]`.
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// What the backward pass needs besides input and output.
#[derive(Debug)]
pub struct Saved {
    /// Logarithm of each row's softmax denominator, `[sequence][query_head][tokens]`.
    log_sums: Vec<f32>,
}

impl Attention {
    /// Prepares the rotary tables (half rotation, as in Llama).
    ///
    /// # Panics
    /// When `tokens` or `head_dim` is no multiple of 32 or the heads do not form groups.
    pub fn new(tokens: usize, query_heads: usize, kv_heads: usize, head_dim: usize, theta: f64) -> Attention {
        assert!(
            tokens.is_multiple_of(SIDE)
                && head_dim.is_multiple_of(SIDE)
                && query_heads.is_multiple_of(kv_heads)
        );
        let half = head_dim / 2;
        let angle = |i: usize| (i / half) as f64 / theta.powf(2.0 * (i % half) as f64 / head_dim as f64);
        let (cos, sin) = (0..tokens * half).map(|i| (angle(i).cos() as f32, angle(i).sin() as f32)).unzip();
        Attention { tokens, query_heads, kv_heads, head_dim, cos, sin }
    }

    fn input_width(&self) -> usize {
        (self.query_heads + 2 * self.kv_heads) * self.head_dim
    }

    fn output_width(&self) -> usize {
        self.query_heads * self.head_dim
    }

    fn group(&self) -> usize {
        self.query_heads / self.kv_heads
    }

    /// The output rows and what [`Attention::backward`] needs.
    pub fn forward(&self, qkv: &[f32]) -> (Vec<f32>, Saved) {
        let sequences = qkv.len() / (self.tokens * self.input_width());
        let mut y = vec![0.0; sequences * self.tokens * self.output_width()];
        let mut log_sums = vec![0.0; sequences * self.query_heads * self.tokens];
        y.par_chunks_mut(self.tokens * self.output_width())
            .zip(log_sums.par_chunks_mut(self.query_heads * self.tokens))
            .zip(qkv.par_chunks(self.tokens * self.input_width()))
            .for_each(|((y, log_sums), qkv)| {
                let mut space = Forward::new(self);
                (0..self.kv_heads).for_each(|head| space.kv_head(self, qkv, head, y, log_sums));
            });
        (y, Saved { log_sums })
    }

    /// The gradient with respect to the input rows.
    pub fn backward(&self, qkv: &[f32], y: &[f32], saved: &Saved, dy: &[f32]) -> Vec<f32> {
        let mut dqkv = vec![0.0; qkv.len()];
        let (input, output) = (self.tokens * self.input_width(), self.tokens * self.output_width());
        dqkv.par_chunks_mut(input)
            .zip(qkv.par_chunks(input))
            .zip(y.par_chunks(output).zip(dy.par_chunks(output)))
            .zip(saved.log_sums.par_chunks(self.query_heads * self.tokens))
            .for_each(|(((dqkv, qkv), (y, dy)), log_sums)| {
                let mut space = Backward::new(self);
                (0..self.kv_heads).for_each(|head| space.kv_head(self, qkv, head, y, dy, log_sums, dqkv));
            });
        dqkv
    }

    /// Copies head `head` of every row, rotated by its position and scaled.
    fn rotated(&self, qkv: &[f32], head: usize, scale: f32, out: &mut [f32]) {
        rotate_rows(
            qkv,
            self.input_width(),
            head * self.head_dim,
            self.head_dim,
            &self.cos,
            &self.sin,
            scale,
            out,
        );
    }

    /// Writes the gradient of head `head`, rotating `d` back.
    fn rotated_back(&self, d: &[f32], head: usize, scale: f32, dqkv: &mut [f32]) {
        let (width, at) = (self.input_width(), head * self.head_dim);
        rotate_rows_back(d, width, at, self.head_dim, &self.cos, &self.sin, scale, dqkv);
    }

    /// `1 / sqrt(head_dim)`.
    fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}

dispatch! {
fn rotate_rows(x: &[f32], width: usize, at: usize, dim: usize, cos: &[f32], sin: &[f32], scale: f32, out: &mut [f32]) {
    let half = dim / 2;
    for (p, out) in out.chunks_exact_mut(dim).enumerate() {
        let x = &x[p * width + at..][..dim];
        let ((a, b), (low, high)) = (x.split_at(half), out.split_at_mut(half));
        let (cos, sin) = (&cos[p * half..][..half], &sin[p * half..][..half]);
        for i in 0..half {
            low[i] = (a[i] * cos[i] - b[i] * sin[i]) * scale;
            high[i] = (b[i] * cos[i] + a[i] * sin[i]) * scale;
        }
    }
}
}

dispatch! {
fn rotate_rows_back(d: &[f32], width: usize, at: usize, dim: usize, cos: &[f32], sin: &[f32], scale: f32, out: &mut [f32]) {
    let half = dim / 2;
    for (p, d) in d.chunks_exact(dim).enumerate() {
        let out = &mut out[p * width + at..][..dim];
        let ((a, b), (low, high)) = (d.split_at(half), out.split_at_mut(half));
        let (cos, sin) = (&cos[p * half..][..half], &sin[p * half..][..half]);
        for i in 0..half {
            low[i] = (a[i] * cos[i] + b[i] * sin[i]) * scale;
            high[i] = (b[i] * cos[i] - a[i] * sin[i]) * scale;
        }
    }
}
}

/// Work space of one task, reused over heads.
struct Forward {
    /// One head of every row.
    rows: Vec<f32>,
    keys: Vec<u16>,
    values: Vec<u16>,
    query: Vec<u16>,
    /// 32 rows of scores, then of unnormalised probabilities.
    scores: Vec<f32>,
    probabilities: Vec<u16>,
    output: Vec<f32>,
}

impl Forward {
    fn new(shape: &Attention) -> Forward {
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

    fn kv_head(&mut self, shape: &Attention, qkv: &[f32], head: usize, y: &mut [f32], log_sums: &mut [f32]) {
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

    /// 32 queries of one head over the keys they see.
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
/// Exponentiates 32 rows of scores against their maximum; hidden keys become 0.
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

/// Work space of one task, reused over heads.
struct Backward {
    rows: Vec<f32>,
    /// Keys and values as *A* blocks, keys also as *B* blocks.
    keys_a: Vec<u16>,
    keys_b: Vec<u16>,
    values_a: Vec<u16>,
    /// Queries and output gradients, transposed and plain *B* blocks.
    query_t: Vec<u16>,
    query: Vec<u16>,
    output_t: Vec<u16>,
    output: Vec<u16>,
    d_query: Vec<f32>,
    d_key: Vec<f32>,
    d_value: Vec<f32>,
    /// `sum(dy * y)` of each row.
    delta: Vec<f32>,
}

impl Backward {
    fn new(shape: &Attention) -> Backward {
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

    #[expect(clippy::too_many_arguments, reason = "inputs and outputs of one pass")]
    fn kv_head(
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

    /// 32 keys against 32 queries; scores are held transposed, `[key][query]`.
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

/// Offset of each block of a `[tokens, dim]` matrix, its block row and its block column.
fn blocks(tokens: usize, dim: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let columns = dim / SIDE;
    (0..tokens / SIDE * columns).map(move |i| (i * BLOCK, i / columns, i % columns))
}

dispatch! {
fn row_dots(y: &[f32], dy: &[f32], stride: usize, dim: usize, out: &mut [f32]) {
    for (p, out) in out.iter_mut().enumerate() {
        *out = dot(&y[p * stride..][..dim], &dy[p * stride..][..dim]);
    }
}
}

dispatch! {
/// From scores and `v . dy` to probabilities and the gradient of the scores, both `[key][query]`.
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
