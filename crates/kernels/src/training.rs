//! Kernels for training: fused forward and backward passes of a BitNet layer, and products of bf16 matrices
//! ([`bf16`]).
//!
//! Matrices are row-major, and a row is a token. Backward passes recompute values that are cheap to compute;
//! forward passes store the others. Sums run in 16 lanes in a fixed order, so results do not depend on the
//! vector width.

mod adamw;
mod attention;
pub mod bf16;
mod cross_entropy;
mod glu;
mod quantize;
mod rms_norm;

pub use crate::{
    activation::Gate,
    vector::{dot, exp, sum_of_squares},
};
pub use adamw::{AdamW, adamw};
pub use attention::{Attention, Saved as AttentionSaved};
pub use cross_entropy::{Gradients as LmHeadGradients, Scores, cross_entropy};
pub use glu::{glu, glu_backward};
pub use quantize::{Activations, quantize_activations, ternarize};
pub use rms_norm::{rms_norm, rms_norm_backward};

#[cfg(test)]
mod tests {
    use super::*;

    fn values(seed: u64, count: usize, scale: f32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next() * scale).collect()
    }

    /// Computes attention by its definition in f64. Input rows are `[queries | keys | values]`.
    fn naive_attention(qkv: &[f32], t: usize, heads: usize, kv: usize, d: usize, theta: f64) -> Vec<f64> {
        let width = (heads + 2 * kv) * d;
        let rotated = |seq: usize, p: usize, head: usize| -> Vec<f64> {
            let x = &qkv[(seq * t + p) * width + head * d..][..d];
            let half = d / 2;
            let mut out = vec![0.0; d];
            for i in 0..half {
                let angle = p as f64 / theta.powf(2.0 * i as f64 / d as f64);
                let (a, b) = (x[i] as f64, x[i + half] as f64);
                out[i] = a * angle.cos() - b * angle.sin();
                out[i + half] = b * angle.cos() + a * angle.sin();
            }
            out
        };
        let sequences = qkv.len() / (t * width);
        let mut y = vec![0.0; sequences * t * heads * d];
        for seq in 0..sequences {
            for h in 0..heads {
                let g = h / (heads / kv);
                let keys: Vec<Vec<f64>> = (0..t).map(|p| rotated(seq, p, heads + g)).collect();
                for p in 0..t {
                    let q = rotated(seq, p, h);
                    let dot =
                        |k: &[f64]| q.iter().zip(k).map(|(a, b)| a * b).sum::<f64>() / (d as f64).sqrt();
                    let scores: Vec<f64> = keys[..=p].iter().map(|k| dot(k)).collect();
                    let most = scores.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
                    let exps: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
                    let total: f64 = exps.iter().sum();
                    let out = &mut y[((seq * t + p) * heads + h) * d..][..d];
                    for (k, e) in exps.iter().enumerate() {
                        let v = &qkv[(seq * t + k) * width + (heads + kv + g) * d..][..d];
                        out.iter_mut().zip(v).for_each(|(o, v)| *o += e / total * *v as f64);
                    }
                }
            }
        }
        y
    }

    /// The scores are of order 10, so attention is sharp and a misplaced key would change the result visibly.
    /// Operands are rounded to bf16 (8 bits), which changes such scores by a few hundredths.
    #[test]
    fn sharp_attention_finds_the_right_keys() {
        for (t, heads, kv, d) in [(128, 2, 1, 32), (96, 2, 2, 64)] {
            let qkv = values(7, 2 * t * (heads + 2 * kv) * d, 3.0);
            let (y, _) = Attention::new(t, heads, kv, d, 10_000.0).forward(&qkv);
            let expected = naive_attention(&qkv, t, heads, kv, d, 10_000.0);
            let error: f64 = y.iter().zip(&expected).map(|(a, b)| (*a as f64 - b).powi(2)).sum();
            let norm: f64 = expected.iter().map(|b| b * b).sum();
            assert!((error / norm).sqrt() < 0.03, "relative error {} at {t} x {d}", (error / norm).sqrt());
        }
    }

    /// Compares the gradients of queries, keys and values with central differences of the f64 definition.
    #[test]
    fn attention_gradients_match_differences() {
        let (t, heads, kv, d) = (64, 2, 1, 32);
        let width = (heads + 2 * kv) * d;
        let qkv = values(3, t * width, 1.5);
        let dy = values(4, t * heads * d, 1.0);
        let attention = Attention::new(t, heads, kv, d, 10_000.0);
        let (y, saved) = attention.forward(&qkv);
        let got = attention.backward(&qkv, &y, &saved, &dy);
        let loss = |x: &[f32]| -> f64 {
            naive_attention(x, t, heads, kv, d, 10_000.0).iter().zip(&dy).map(|(y, g)| y * *g as f64).sum()
        };
        // Queries, keys and values are compared separately, because the gradients of the values are much the
        // largest.
        for (part, columns) in [
            ("queries", 0..heads * d),
            ("keys", heads * d..(heads + kv) * d),
            ("values", (heads + kv) * d..width),
        ] {
            let (mut dot, mut a2, mut b2) = (0.0, 0.0, 0.0);
            for i in (0..60).map(|i| (i * 37 % t) * width + columns.start + i * 13 % columns.len()) {
                let mut moved = qkv.clone();
                let step = 1e-2;
                moved[i] = qkv[i] + step;
                let up = loss(&moved);
                moved[i] = qkv[i] - step;
                let expected = (up - loss(&moved)) / (2.0 * step as f64);
                dot += expected * got[i] as f64;
                a2 += expected * expected;
                b2 += (got[i] as f64).powi(2);
            }
            let cosine = dot / (a2 * b2).sqrt();
            assert!(
                cosine > 0.999 && (b2 / a2).sqrt() - 1.0 < 0.02,
                "{part}: cosine {cosine}, norms {} {}",
                b2.sqrt(),
                a2.sqrt()
            );
        }
    }
}
