use std::arch::x86_64::*;

use half::{bf16, f16};

use super::Lanes;

/// One 512-bit register; needs AVX-512 F.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

/// Two 256-bit registers; needs AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256, __m256);

/// The last steps of `sum4`: four quarters to four sums, `(0 + 1) + (2 + 3)`.
///
/// # Safety
/// Needs SSE.
#[inline(always)]
unsafe fn finish([a, b, c, d]: [__m128; 4]) -> [f32; 4] {
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

/// # Safety
/// Needs AVX.
#[inline(always)]
unsafe fn quarter(half: __m256) -> __m128 {
    // SAFETY: the caller vouches for AVX.
    unsafe { _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half)) }
}

/// # Safety
/// Needs AVX-512 F.
#[inline(always)]
unsafe fn halve512(v: __m512) -> __m128 {
    // SAFETY: the caller vouches for AVX-512 F.
    unsafe {
        let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v)));
        quarter(_mm256_add_ps(_mm512_castps512_ps256(v), high))
    }
}

// SAFETY (both): the trait's contract passes the duty for instructions and pointers to the caller.
impl Lanes for Avx512 {
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        unsafe { Avx512(_mm512_set1_ps(x)) }
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        unsafe { Avx512(_mm512_loadu_ps(at)) }
    }

    #[inline(always)]
    unsafe fn load_f16(at: *const f16) -> Self {
        unsafe { Avx512(_mm512_cvtph_ps(_mm256_loadu_si256(at.cast()))) }
    }

    #[inline(always)]
    unsafe fn load_bf16(at: *const bf16) -> Self {
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.cast()));
            Avx512(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        unsafe { _mm512_storeu_ps(at, self.0) }
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        unsafe { Avx512(_mm512_fmadd_ps(a.0, b.0, self.0)) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_mul_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_max_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn where_above(self, x: Self, threshold: Self) -> Self {
        unsafe { Avx512(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(x.0, threshold.0), self.0)) }
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        unsafe {
            let shifted = _mm512_slli_epi32::<23>(_mm512_castps_si512(self.0));
            let one = _mm512_castps_si512(_mm512_set1_ps(1.0));
            Avx512(_mm512_castsi512_ps(_mm512_add_epi32(shifted, one)))
        }
    }

    #[inline(always)]
    unsafe fn sum4(of: [Self; 4]) -> [f32; 4] {
        unsafe { finish([halve512(of[0].0), halve512(of[1].0), halve512(of[2].0), halve512(of[3].0)]) }
    }
}

impl Lanes for Avx2 {
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        unsafe { Avx2(_mm256_set1_ps(x), _mm256_set1_ps(x)) }
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        unsafe { Avx2(_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))) }
    }

    #[inline(always)]
    unsafe fn load_f16(at: *const f16) -> Self {
        unsafe {
            let half = |at: *const f16| _mm256_cvtph_ps(_mm_loadu_si128(at.cast()));
            Avx2(half(at), half(at.add(8)))
        }
    }

    #[inline(always)]
    unsafe fn load_bf16(at: *const bf16) -> Self {
        unsafe {
            let half = |at: *const bf16| {
                let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
            };
            Avx2(half(at), half(at.add(8)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        unsafe {
            _mm256_storeu_ps(at, self.0);
            _mm256_storeu_ps(at.add(8), self.1);
        }
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        unsafe { Avx2(_mm256_fmadd_ps(a.0, b.0, self.0), _mm256_fmadd_ps(a.1, b.1, self.1)) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn where_above(self, x: Self, threshold: Self) -> Self {
        unsafe {
            let half = |v, x, t| _mm256_and_ps(v, _mm256_cmp_ps::<_CMP_GT_OQ>(x, t));
            Avx2(half(self.0, x.0, threshold.0), half(self.1, x.1, threshold.1))
        }
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        unsafe {
            let half = |v| {
                let shifted = _mm256_slli_epi32::<23>(_mm256_castps_si256(v));
                _mm256_castsi256_ps(_mm256_add_epi32(shifted, _mm256_castps_si256(_mm256_set1_ps(1.0))))
            };
            Avx2(half(self.0), half(self.1))
        }
    }

    #[inline(always)]
    unsafe fn sum4(of: [Self; 4]) -> [f32; 4] {
        unsafe {
            let [a, b, c, d] = of;
            finish([
                quarter(_mm256_add_ps(a.0, a.1)),
                quarter(_mm256_add_ps(b.0, b.1)),
                quarter(_mm256_add_ps(c.0, c.1)),
                quarter(_mm256_add_ps(d.0, d.1)),
            ])
        }
    }
}
