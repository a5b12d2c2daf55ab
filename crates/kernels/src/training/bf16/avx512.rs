//! Block products with `vdpbf16ps`.

use std::arch::x86_64::*;

use super::{Blocks, SIDE};

/// Number of rows whose sums stay in registers. With two halves per row there are 16 accumulators, enough to
/// hide the latency of two `vdpbf16ps` per cycle.
const ROWS: usize = 8;

/// Computes [`multiply`](super::multiply) with AVX-512.
///
/// # Safety
/// AVX-512 F and BF16 must be present; `a` and `b` must hold `count` blocks and `c` 32 rows.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn multiply(
    c: *mut f32,
    stride: usize,
    a: Blocks<'_>,
    b: Blocks<'_>,
    count: usize,
    accumulate: bool,
) {
    for first in (0..SIDE).step_by(ROWS) {
        // SAFETY: the caller guarantees the lengths; every offset below is inside one block or one row of
        // `c`.
        unsafe {
            let c = c.add(first * stride);
            let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
            if accumulate {
                for (row, sum) in sums.iter_mut().enumerate() {
                    *sum = [_mm512_loadu_ps(c.add(row * stride)), _mm512_loadu_ps(c.add(row * stride + 16))];
                }
            }
            for i in 0..count {
                let a = a.data.as_ptr().add(i * a.step + first * SIDE).cast::<i32>();
                let b = b.data.as_ptr().add(i * b.step).cast::<__m512i>();
                for k in 0..16 {
                    let halves = [bh(_mm512_loadu_si512(b.add(k))), bh(_mm512_loadu_si512(b.add(16 + k)))];
                    for (row, sum) in sums.iter_mut().enumerate() {
                        let pair = bh(_mm512_set1_epi32(*a.add(row * 16 + k)));
                        sum[0] = _mm512_dpbf16_ps(sum[0], pair, halves[0]);
                        sum[1] = _mm512_dpbf16_ps(sum[1], pair, halves[1]);
                    }
                }
            }
            for (row, sum) in sums.iter().enumerate() {
                _mm512_storeu_ps(c.add(row * stride), sum[0]);
                _mm512_storeu_ps(c.add(row * stride + 16), sum[1]);
            }
        }
    }
}

/// Reinterprets 512 bits as 32 bf16 values.
#[target_feature(enable = "avx512f,avx512bf16")]
fn bh(bits: __m512i) -> __m512bh {
    // SAFETY: both types are 64 plain bytes.
    unsafe { std::mem::transmute(bits) }
}
