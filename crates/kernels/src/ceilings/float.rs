//! Peak rate of fused multiply-adds on f32 numbers.

use std::hint::black_box;

use crate::{Isa, simd::dispatch};

/// Number of multiply-adds that one call adds to each of its sums.
const TIMES: u64 = 2048;

/// Multiplies and adds f32 numbers in the widest registers that this machine has.
///
/// Returns the number of multiplications and additions.
pub fn multiply_and_add() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        let is_available = |isa: Isa| Isa::available().contains(&isa);
        if is_available(Isa::Avx512) {
            // SAFETY: AVX-512 is available.
            return unsafe { avx512() };
        }
        if is_available(Isa::Avx2) {
            // SAFETY: AVX2 and FMA are available.
            return unsafe { avx2() };
        }
    }
    plain_call()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512() -> u64 {
    use std::arch::x86_64::*;
    let (a, b) = (black_box(_mm512_set1_ps(0.5)), black_box(_mm512_set1_ps(1.0)));
    let mut sums = black_box([_mm512_setzero_ps(); 12]);
    for _ in 0..TIMES {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, a, b);
        }
    }
    black_box(sums);
    TIMES * 12 * 32
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2() -> u64 {
    use std::arch::x86_64::*;
    let (a, b) = (black_box(_mm256_set1_ps(0.5)), black_box(_mm256_set1_ps(1.0)));
    let mut sums = black_box([_mm256_setzero_ps(); 12]);
    for _ in 0..TIMES {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, a, b);
        }
    }
    black_box(sums);
    TIMES * 12 * 16
}

fn plain_call() -> u64 {
    black_box(plain(black_box([0.5; 2])));
    TIMES * 64 * 2
}

dispatch! {
/// Separate multiplications and additions, for machines without a fused instruction.
fn plain(operands: [f32; 2]) -> f32 {
    let [factor, addend] = operands;
    let mut sums = black_box([0.0f32; 64]);
    for _ in 0..TIMES {
        for sum in &mut sums {
            *sum = *sum * factor + addend;
        }
    }
    sums.iter().sum()
}
}
