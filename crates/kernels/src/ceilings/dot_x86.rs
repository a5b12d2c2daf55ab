//! The loops of [`Dot`](super::Dot) on x86-64. They use only registers, and enough independent sums that no
//! instruction waits for the previous one.

use std::{
    arch::{asm, x86_64::*},
    hint::black_box,
};

/// Number of independent sums. Two units with a latency of five cycles need at least ten.
const SUMS: usize = 12;
/// Number of additions to each sum in one call.
const TIMES: u64 = 2048;

/// Runs `vpmaddubsw`, `vpmaddwd` and `vpaddd` on 256 bits. Returns the number of operations.
///
/// # Safety
/// Needs AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2() -> u64 {
    let ones = black_box(_mm256_set1_epi16(1));
    let x = black_box([_mm256_set1_epi8(3), _mm256_set1_epi8(-3)]);
    let mut codes = [_mm256_set1_epi8(2); 4];
    let mut sums = black_box([_mm256_setzero_si256(); 4]);
    for _ in 0..TIMES {
        for (codes, sum) in codes.iter_mut().zip(&mut sums) {
            // The compiler must assume that the codes change, or it would compute each product only once.
            // SAFETY: the assembly is only a comment.
            unsafe { asm!("/* {0} */", inout(ymm_reg) * codes, options(nomem, nostack, preserves_flags)) };
            for x in x {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_maddubs_epi16(*codes, x), ones));
            }
        }
    }
    black_box(sums);
    TIMES * 8 * 64
}

/// Runs `vpdpbusd` on 256 bits. Returns the number of operations.
///
/// # Safety
/// Needs AVX-512 VL and VNNI.
#[target_feature(enable = "avx512f,avx512vl,avx512vnni")]
pub(super) unsafe fn vnni256() -> u64 {
    let (codes, x) = (black_box(_mm256_set1_epi8(2)), black_box(_mm256_set1_epi8(3)));
    let mut sums = black_box([_mm256_setzero_si256(); SUMS]);
    for _ in 0..TIMES {
        for sum in &mut sums {
            *sum = _mm256_dpbusd_epi32(*sum, codes, x);
        }
    }
    black_box(sums);
    TIMES * SUMS as u64 * 64
}

/// Runs `vpdpbusd` on 512 bits. Returns the number of operations.
///
/// # Safety
/// Needs AVX-512 F and VNNI.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn vnni512() -> u64 {
    let (codes, x) = (black_box(_mm512_set1_epi8(2)), black_box(_mm512_set1_epi8(3)));
    let mut sums = black_box([_mm512_setzero_si512(); SUMS]);
    for _ in 0..TIMES {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, codes, x);
        }
    }
    black_box(sums);
    TIMES * SUMS as u64 * 128
}
