//! The LM head, its cross-entropy loss and the gradients, computed in one pass.

use rayon::prelude::*;

use crate::simd::dispatch;
use crate::training::bf16::{
    BLOCK, Blocks, SIDE, gemm_weight_gradient, multiply, pack_a, pack_b_all, pack_b_transposed_all,
};
use crate::vector::{exp, max, sum};

/// The loss and the most likely token of each position.
#[derive(Debug, Default)]
pub struct Scores {
    /// Negative log-likelihood of the target in nats; 0 if the position has no target.
    pub nll: Vec<f32>,
    /// The most likely token, the lowest id on ties.
    pub prediction: Vec<u32>,
}

/// The gradients of the mean loss over all scored positions.
#[derive(Debug)]
pub struct Gradients {
    /// Gradient with respect to the hidden states, `[rows, width]`.
    pub hidden: Vec<f32>,
    /// Gradient with respect to the output embedding, `[vocabulary, width]`.
    pub embedding: Vec<f32>,
}

/// Number of rows whose logits are in memory at a time.
const CHUNK: usize = 512;

/// Computes the logits `hidden . embedding^T`. Returns the negative log-likelihoods of `targets` with the
/// most likely tokens and, if `gradients` is true, the gradients of the mean loss.
///
/// A target of `u32::MAX` is not scored. Logits are in memory for at most 512 rows at a time.
///
/// # Panics
/// Panics if the number of rows, the width or the vocabulary is not a multiple of 32.
pub fn cross_entropy(
    hidden: &[f32],
    embedding: &[f32],
    width: usize,
    targets: &[u32],
    gradients: bool,
) -> (Scores, Option<Gradients>) {
    let (rows, vocabulary) = (targets.len(), embedding.len() / width);
    let scored = targets.iter().filter(|&&t| t != u32::MAX).count().max(1);
    let lm_head = LmHead {
        vocabulary,
        width,
        forward: pack_b_transposed_all(embedding, vocabulary, width),
        backward: if gradients { pack_b_all(embedding, vocabulary, width) } else { Vec::new() },
        weight: 1.0 / scored as f32,
    };
    let mut scores = Scores { nll: vec![0.0; rows], prediction: vec![0; rows] };
    let mut found = gradients
        .then(|| Gradients { hidden: vec![0.0; rows * width], embedding: vec![0.0; vocabulary * width] });
    let mut logits = vec![0.0; CHUNK.min(rows) * vocabulary];
    for first in (0..rows).step_by(CHUNK) {
        let last = rows.min(first + CHUNK);
        let logits = &mut logits[..(last - first) * vocabulary];
        let x = &hidden[first * width..last * width];
        let (nll, prediction) = (&mut scores.nll[first..last], &mut scores.prediction[first..last]);
        let dx = found.as_mut().map(|g| &mut g.hidden[first * width..last * width]);
        lm_head.score_chunk(logits, x, &targets[first..last], nll, prediction, dx);
        if let Some(g) = &mut found {
            let x = pack_b_all(x, last - first, width);
            gemm_weight_gradient(&mut g.embedding, logits, vocabulary, None, &x, width, first > 0);
        }
    }
    (scores, found)
}

/// The output embedding, packed into *B* blocks.
struct LmHead {
    vocabulary: usize,
    width: usize,
    /// Blocks for products with hidden states.
    forward: Vec<u16>,
    /// Blocks for products with gradients of logits; empty if no gradients are computed.
    backward: Vec<u16>,
    /// Weight of one scored position in the mean loss.
    weight: f32,
}

impl LmHead {
    /// Computes the logits of the hidden states `x` and their scores. If `dx` is given, writes the gradient
    /// of the hidden states to `dx` and replaces `logits` by their gradient.
    fn score_chunk(
        &self,
        logits: &mut [f32],
        x: &[f32],
        targets: &[u32],
        nll: &mut [f32],
        prediction: &mut [u32],
        dx: Option<&mut [f32]>,
    ) {
        let (v, d) = (self.vocabulary, self.width);
        let mut none = Vec::new();
        let train = dx.is_some();
        let dx = dx.unwrap_or_else(|| {
            none.resize(x.len(), 0.0);
            &mut none
        });
        logits
            .par_chunks_mut(SIDE * v)
            .zip(x.par_chunks(SIDE * d))
            .zip(dx.par_chunks_mut(SIDE * d))
            .zip(targets.par_chunks(SIDE))
            .zip(nll.par_chunks_mut(SIDE).zip(prediction.par_chunks_mut(SIDE)))
            .for_each_init(
                || vec![0u16; SIDE * v.max(d)],
                |a, ((((logits, x), dx), targets), (nll, prediction))| {
                    product(logits, v, x, d, &self.forward, a);
                    for (i, row) in logits.chunks_exact_mut(v).enumerate() {
                        (nll[i], prediction[i]) = score(row, targets[i], train.then_some(self.weight));
                    }
                    if train {
                        product(dx, d, logits, v, &self.backward, a);
                    }
                },
            );
    }
}

/// Computes `y [32, n] = x [32, k] . B`. `a` is a buffer for the packed `x`.
fn product(y: &mut [f32], n: usize, x: &[f32], k: usize, b: &[u16], a: &mut [u16]) {
    let blocks = k / SIDE;
    for (j, block) in a.chunks_exact_mut(BLOCK).take(blocks).enumerate() {
        pack_a(block, &x[j * SIDE..], k);
    }
    for (j, column) in b.chunks_exact(blocks * BLOCK).enumerate() {
        multiply(&mut y[j * SIDE..], n, Blocks::dense(a), Blocks::dense(column), blocks, false);
    }
}

dispatch! {
/// Returns the negative log-likelihood of `target` in nats, and the most likely token, for one row of logits.
/// If `weight` is given, replaces the row by its gradient, `weight * (softmax - one_hot)`.
fn score(row: &mut [f32], target: u32, weight: Option<f32>) -> (f32, u32) {
    let largest = max(row);
    let prediction = row.iter().position(|&z| z == largest).unwrap_or(0) as u32;
    if target == u32::MAX {
        if weight.is_some() {
            row.fill(0.0);
        }
        return (0.0, prediction);
    }
    let logit = row[target as usize];
    for z in row.iter_mut() {
        *z = exp(*z - largest);
    }
    let total = sum(row);
    if let Some(weight) = weight {
        let factor = weight / total;
        for z in row.iter_mut() {
            *z *= factor;
        }
        row[target as usize] -= weight;
    }
    (total.ln() + largest - logit, prediction)
}
}
