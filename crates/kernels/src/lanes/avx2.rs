//! The implementation of [`Lanes`] with AVX2.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{
    LANES, Lanes,
    quarters::{add_quarters, sum_of_four_lanes},
};

/// Two 256-bit registers. Needs AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256, __m256);

// SAFETY (all blocks): by the trait's contract, the caller guarantees the instructions and the pointers.
impl Lanes for Avx2 {
    type Wide = [__m256d; 4];
    /// There are 16 registers of 256 bits, and a vector takes two: 12 registers hold six sums, 2 hold an
    /// operand, and 1 a broadcast.
    const TILE: [usize; 2] = [6, 1];

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
    unsafe fn sum4(registers: [Self; 4]) -> [f32; 4] {
        unsafe {
            let [a, b, c, d] = registers;
            sum_of_four_lanes([
                add_quarters(_mm256_add_ps(a.0, a.1)),
                add_quarters(_mm256_add_ps(b.0, b.1)),
                add_quarters(_mm256_add_ps(c.0, c.1)),
                add_quarters(_mm256_add_ps(d.0, d.1)),
            ])
        }
    }

    #[inline(always)]
    unsafe fn transpose(registers: [Self; LANES]) -> [Self; LANES] {
        unsafe {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = registers;
            let low = [
                transpose_8x8([a.0, b.0, c.0, d.0, e.0, f.0, g.0, h.0]),
                transpose_8x8([i.0, j.0, k.0, l.0, m.0, n.0, o.0, p.0]),
            ];
            let high = [
                transpose_8x8([a.1, b.1, c.1, d.1, e.1, f.1, g.1, h.1]),
                transpose_8x8([i.1, j.1, k.1, l.1, m.1, n.1, o.1, p.1]),
            ];
            let mut out = [Avx2::splat(0.0); LANES];
            for i in 0..8 {
                out[i] = Avx2(low[0][i], low[1][i]);
                out[8 + i] = Avx2(high[0][i], high[1][i]);
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn widen(self) -> Self::Wide {
        unsafe {
            let low = |v| _mm256_cvtps_pd(_mm256_castps256_ps128(v));
            let high = |v| _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(v));
            [low(self.0), high(self.0), low(self.1), high(self.1)]
        }
    }

    #[inline(always)]
    unsafe fn splat_wide(x: f64) -> Self::Wide {
        unsafe { [_mm256_set1_pd(x); 4] }
    }

    #[inline(always)]
    unsafe fn load_wide(at: *const f64) -> Self::Wide {
        unsafe {
            [
                _mm256_loadu_pd(at),
                _mm256_loadu_pd(at.add(4)),
                _mm256_loadu_pd(at.add(8)),
                _mm256_loadu_pd(at.add(12)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store_wide(wide: Self::Wide, at: *mut f64) {
        unsafe {
            for (i, part) in wide.iter().enumerate() {
                _mm256_storeu_pd(at.add(4 * i), *part);
            }
        }
    }

    #[inline(always)]
    unsafe fn add_wide(a: Self::Wide, b: Self::Wide) -> Self::Wide {
        unsafe {
            [
                _mm256_add_pd(a[0], b[0]),
                _mm256_add_pd(a[1], b[1]),
                _mm256_add_pd(a[2], b[2]),
                _mm256_add_pd(a[3], b[3]),
            ]
        }
    }

    #[inline(always)]
    unsafe fn sub_wide(a: Self::Wide, b: Self::Wide) -> Self::Wide {
        unsafe {
            [
                _mm256_sub_pd(a[0], b[0]),
                _mm256_sub_pd(a[1], b[1]),
                _mm256_sub_pd(a[2], b[2]),
                _mm256_sub_pd(a[3], b[3]),
            ]
        }
    }
}

/// Transposes a square of 8 x 8 values.
///
/// # Safety
/// Needs AVX.
#[inline(always)]
unsafe fn transpose_8x8([a, b, c, d, e, f, g, h]: [__m256; 8]) -> [__m256; 8] {
    unsafe {
        let (first, second) = (transpose_4_rows([a, b, c, d]), transpose_4_rows([e, f, g, h]));
        let mut out = [_mm256_setzero_ps(); 8];
        for c in 0..4 {
            out[c] = _mm256_permute2f128_ps::<0x20>(first[c], second[c]);
            out[4 + c] = _mm256_permute2f128_ps::<0x31>(first[c], second[c]);
        }
        out
    }
}

/// Transposes four rows within each half: half `h` of result `c` holds column `4 h + c`.
///
/// # Safety
/// Needs AVX.
#[inline(always)]
unsafe fn transpose_4_rows([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
    unsafe {
        let pd = |v| _mm256_castps_pd(v);
        let (ab_low, ab_high) = (pd(_mm256_unpacklo_ps(a, b)), pd(_mm256_unpackhi_ps(a, b)));
        let (cd_low, cd_high) = (pd(_mm256_unpacklo_ps(c, d)), pd(_mm256_unpackhi_ps(c, d)));
        [
            _mm256_castpd_ps(_mm256_unpacklo_pd(ab_low, cd_low)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(ab_low, cd_low)),
            _mm256_castpd_ps(_mm256_unpacklo_pd(ab_high, cd_high)),
            _mm256_castpd_ps(_mm256_unpackhi_pd(ab_high, cd_high)),
        ]
    }
}
