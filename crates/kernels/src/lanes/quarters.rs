//! The last steps of a sum over lanes, shared by AVX2 and AVX-512.

use std::arch::x86_64::*;

/// Returns the sum `(0 + 1) + (2 + 3)` of the four lanes of each register. This is the last step of `sum4`.
///
/// # Safety
/// Needs SSE.
#[inline(always)]
pub(super) unsafe fn sum_of_four_lanes([a, b, c, d]: [__m128; 4]) -> [f32; 4] {
    // SAFETY: SSE is part of x86-64.
    unsafe {
        let (ab_low, ab_high) = (_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
        let first = _mm_add_ps(_mm_movelh_ps(ab_low, cd_low), _mm_movehl_ps(cd_low, ab_low));
        let second = _mm_add_ps(_mm_movelh_ps(ab_high, cd_high), _mm_movehl_ps(cd_high, ab_high));
        let mut out = [0.0; 4];
        _mm_storeu_ps(out.as_mut_ptr(), _mm_add_ps(first, second));
        out
    }
}

/// Adds the two quarters of `half`, which is half of a 512-bit vector.
///
/// # Safety
/// Needs AVX.
#[inline(always)]
pub(super) unsafe fn add_quarters(half: __m256) -> __m128 {
    // SAFETY: the caller guarantees AVX.
    unsafe { _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half)) }
}
