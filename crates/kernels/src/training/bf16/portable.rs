//! Block products with plain loops. Tests compare the other engines with these.

use super::{BLOCK, Blocks, SIDE};
use crate::simd::dispatch;

/// Returns the bf16 with these bits as f32.
fn value(bits: u16) -> f32 {
    f32::from_bits((bits as u32) << 16)
}

dispatch! {
/// Computes [`multiply`](super::multiply) with plain loops over the packed layout.
pub(super) fn multiply(c: &mut [f32], stride: usize, a: Blocks<'_>, b: Blocks<'_>, count: usize, accumulate: bool) {
    for row in 0..SIDE {
        for half in 0..2 {
            let at = row * stride + half * 16;
            let mut sum = [0.0f32; 16];
            if accumulate {
                sum.copy_from_slice(&c[at..at + 16]);
            }
            for i in 0..count {
                let a = &a.data[i * a.step..][row * SIDE..][..SIDE];
                let b = &b.data[i * b.step..][..BLOCK][half * 512..][..512];
                for (pair, b) in a.chunks_exact(2).zip(b.chunks_exact(32)) {
                    let (even, odd) = (value(pair[0]), value(pair[1]));
                    for n in 0..16 {
                        sum[n] += odd * value(b[2 * n + 1]) + even * value(b[2 * n]);
                    }
                }
            }
            c[at..at + 16].copy_from_slice(&sum);
        }
    }
}
}
