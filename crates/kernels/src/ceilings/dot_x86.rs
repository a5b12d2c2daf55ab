//! Products of bytes on registers alone: enough sums at once that none waits for the last.

use std::{
    arch::{asm, x86_64::*},
    hint::black_box,
};

/// Sums that do not depend on each other: two units times a latency of five.
const SUMS: usize = 12;
/// Times that each sum grows in one call.
const TIMES: u64 = 2048;

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
            // Codes that may be others every time: a product that is known need not be made again.
            // SAFETY: nothing is done.
            unsafe { asm!("/* {0} */", inout(ymm_reg) * codes, options(nomem, nostack, preserves_flags)) };
            for x in x {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_maddubs_epi16(*codes, x), ones));
            }
        }
    }
    black_box(sums);
    TIMES * 8 * 64
}

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
