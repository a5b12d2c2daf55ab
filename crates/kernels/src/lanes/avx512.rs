//! The implementation of [`Lanes`] with AVX-512.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{
    LANES, Lanes,
    quarters::{add_quarters, sum_of_four_lanes},
};

/// One 512-bit register. Needs AVX-512 F.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

/// Adds the two halves of `v`, then the two quarters of the sum.
///
/// # Safety
/// Needs AVX-512 F.
#[inline(always)]
unsafe fn fold_to_quarter(v: __m512) -> __m128 {
    // SAFETY: the caller guarantees AVX-512 F.
    unsafe {
        let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v)));
        add_quarters(_mm256_add_ps(_mm512_castps512_ps256(v), high))
    }
}

// SAFETY (all blocks): by the trait's contract, the caller guarantees the instructions and the pointers.
impl Lanes for Avx512 {
    type Wide = [__m512d; 2];
    /// There are 32 registers: 24 hold sums, 4 hold an operand, and 1 a broadcast.
    const TILE: [usize; 2] = [6, 4];

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
    unsafe fn sum4(registers: [Self; 4]) -> [f32; 4] {
        unsafe {
            sum_of_four_lanes([
                fold_to_quarter(registers[0].0),
                fold_to_quarter(registers[1].0),
                fold_to_quarter(registers[2].0),
                fold_to_quarter(registers[3].0),
            ])
        }
    }

    #[inline(always)]
    unsafe fn transpose(registers: [Self; LANES]) -> [Self; LANES] {
        unsafe {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = registers;
            let quads = [
                transpose_4_rows([a, b, c, d]),
                transpose_4_rows([e, f, g, h]),
                transpose_4_rows([i, j, k, l]),
                transpose_4_rows([m, n, o, p]),
            ];
            let mut out = [Avx512::splat(0.0); LANES];
            for c in 0..4 {
                let columns = [quads[0][c], quads[1][c], quads[2][c], quads[3][c]];
                let (first, second) =
                    (even_quarters(columns[0], columns[1]), even_quarters(columns[2], columns[3]));
                out[c] = Avx512(even_quarters(first, second));
                out[8 + c] = Avx512(odd_quarters(first, second));
                let (first, second) =
                    (odd_quarters(columns[0], columns[1]), odd_quarters(columns[2], columns[3]));
                out[4 + c] = Avx512(even_quarters(first, second));
                out[12 + c] = Avx512(odd_quarters(first, second));
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn widen(self) -> Self::Wide {
        unsafe {
            let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self.0)));
            [_mm512_cvtps_pd(_mm512_castps512_ps256(self.0)), _mm512_cvtps_pd(high)]
        }
    }

    #[inline(always)]
    unsafe fn splat_wide(x: f64) -> Self::Wide {
        unsafe { [_mm512_set1_pd(x); 2] }
    }

    #[inline(always)]
    unsafe fn load_wide(at: *const f64) -> Self::Wide {
        unsafe { [_mm512_loadu_pd(at), _mm512_loadu_pd(at.add(8))] }
    }

    #[inline(always)]
    unsafe fn store_wide(wide: Self::Wide, at: *mut f64) {
        unsafe {
            _mm512_storeu_pd(at, wide[0]);
            _mm512_storeu_pd(at.add(8), wide[1]);
        }
    }

    #[inline(always)]
    unsafe fn add_wide(a: Self::Wide, b: Self::Wide) -> Self::Wide {
        unsafe { [_mm512_add_pd(a[0], b[0]), _mm512_add_pd(a[1], b[1])] }
    }

    #[inline(always)]
    unsafe fn sub_wide(a: Self::Wide, b: Self::Wide) -> Self::Wide {
        unsafe { [_mm512_sub_pd(a[0], b[0]), _mm512_sub_pd(a[1], b[1])] }
    }
}

/// Transposes four rows within each quarter: quarter `q` of result `c` holds column `4 q + c`.
///
/// # Safety
/// Needs AVX-512 F.
#[inline(always)]
unsafe fn transpose_4_rows([a, b, c, d]: [Avx512; 4]) -> [__m512; 4] {
    unsafe {
        let pd = |v| _mm512_castps_pd(v);
        let (ab_low, ab_high) = (pd(_mm512_unpacklo_ps(a.0, b.0)), pd(_mm512_unpackhi_ps(a.0, b.0)));
        let (cd_low, cd_high) = (pd(_mm512_unpacklo_ps(c.0, d.0)), pd(_mm512_unpackhi_ps(c.0, d.0)));
        [
            _mm512_castpd_ps(_mm512_unpacklo_pd(ab_low, cd_low)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(ab_low, cd_low)),
            _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high)),
            _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high)),
        ]
    }
}

/// Returns quarters 0 and 2 of `a`, followed by quarters 0 and 2 of `b`.
///
/// # Safety
/// Needs AVX-512 F.
#[inline(always)]
unsafe fn even_quarters(a: __m512, b: __m512) -> __m512 {
    unsafe { _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b) }
}

/// Returns quarters 1 and 3 of `a`, followed by quarters 1 and 3 of `b`.
///
/// # Safety
/// Needs AVX-512 F.
#[inline(always)]
unsafe fn odd_quarters(a: __m512, b: __m512) -> __m512 {
    unsafe { _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b) }
}
