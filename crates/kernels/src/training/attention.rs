//! Causal grouped-query attention with rotary positions: forward and backward passes that never hold a full
//! tokens x tokens matrix.

use rayon::prelude::*;

use crate::simd::dispatch;
use crate::training::bf16::SIDE;

mod backward;
mod forward;

use backward::Backward;
use forward::Forward;

/// Attention over sequences that start at position 0, for one shape.
///
/// Input rows are `[queries | keys | values]` with `query_heads + 2 * kv_heads` heads; output rows have
/// `query_heads` heads. Query head `h` reads KV head `h / (query_heads / kv_heads)`.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Number of tokens in each sequence, a multiple of 32.
    tokens: usize,
    query_heads: usize,
    kv_heads: usize,
    /// Width of a head, a multiple of 32.
    head_dim: usize,
    /// Cosines of the rotary angles, `[tokens, head_dim / 2]`.
    cos: Vec<f32>,
    /// Sines of the rotary angles, `[tokens, head_dim / 2]`.
    sin: Vec<f32>,
}

/// Values of the forward pass that the backward pass needs in addition to the input and output.
#[derive(Debug)]
pub struct Saved {
    /// Logarithm of the softmax denominator of each row, `[sequences][query_heads][tokens]`.
    log_sums: Vec<f32>,
}

impl Attention {
    /// Returns the operation for a shape, with its rotary tables. Channel `j` of a head is rotated together
    /// with channel `j + head_dim / 2`, as in Llama.
    ///
    /// # Panics
    /// Panics if `tokens` or `head_dim` is not a multiple of 32, or if `query_heads` is not a multiple of
    /// `kv_heads`.
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

    /// Returns the output rows for the input rows `qkv`, and the values that [`Attention::backward`] needs.
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

    /// Returns the gradient with respect to the input rows, given the gradient `dy` of the output rows.
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

    /// Copies head `head` of every row to `out`, rotated by its position and scaled.
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

    /// Writes `d`, rotated back and scaled, to `dqkv` as the gradient of head `head`.
    fn rotated_back(&self, d: &[f32], head: usize, scale: f32, dqkv: &mut [f32]) {
        let (width, at) = (self.input_width(), head * self.head_dim);
        rotate_rows_back(d, width, at, self.head_dim, &self.cos, &self.sin, scale, dqkv);
    }

    /// Returns `1 / sqrt(head_dim)`.
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
