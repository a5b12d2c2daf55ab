//! Exact integer products of rows of weights with the high and the low parts of a token's activations.

use super::{
    Int8,
    activations::{Activations, signed},
};
use crate::Isa;

/// Writes the products of row `first + row` with the high and the low part to `out[row]`.
pub(super) fn sums(isa: Isa, x: &Activations, weights: &Int8, first: usize, out: &mut [[i32; 2]]) {
    let stride = weights.stride;
    let values = signed(&weights.values[first * stride..(first + out.len()) * stride]);
    let [high, low] = x.parts();
    assert!(high.len() == stride && low.len() == stride, "activations must be as long as rows");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the machine has the instructions; rows and parts have `stride` bytes, a multiple of a register.
    unsafe {
        match isa {
            Isa::Avx512 | Isa::Amx if crate::extension::Extension::Vnni.works() => {
                x86::vnni(high, low, values, out);
                let rows = &weights.rows[first..];
                for (out, row) in out.iter_mut().zip(rows) {
                    *out = out.map(|sum| sum - 128 * row.sum);
                }
                return;
            }
            Isa::Avx2 | Isa::Avx512 | Isa::Amx => return x86::avx2(high, low, values, out),
            Isa::Scalar | Isa::Neon => {}
        }
    }
    let _ = isa;
    for (out, row) in out.iter_mut().zip(values.chunks_exact(stride)) {
        *out = [high, low].map(|x| x.iter().zip(row).map(|(x, w)| i32::from(*x) * i32::from(*w)).sum());
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// Number of rows whose sums stay in registers.
    const ROWS: usize = 4;
    /// Prefetch distance within each row, in bytes.
    const AHEAD: usize = 1024;

    /// Computes products that are too large by `128` times the sum of the row: `vpdpbusd` needs unsigned
    /// activations, so 128 is added to each. The caller subtracts the excess.
    ///
    /// # Safety
    /// Needs AVX-512 F, BW and VNNI; parts and rows must have the same length, a multiple of 64 bytes.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) unsafe fn vnni(high: &[i8], low: &[i8], values: &[i8], out: &mut [[i32; 2]]) {
        let stride = high.len();
        for (group, out) in out.chunks_mut(ROWS).enumerate() {
            let w = values[group * ROWS * stride..][..out.len() * stride].as_ptr();
            // SAFETY: the rows of `out` are inside the weights.
            unsafe {
                match out.len() {
                    ROWS => vnni_rows::<ROWS>(high, low, w, out),
                    _ => (0..out.len())
                        .for_each(|r| vnni_rows::<1>(high, low, w.add(r * stride), &mut out[r..=r])),
                }
            }
        }
    }

    /// Computes the products of `R` rows.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`vnni`], and `w` must point to `R` rows.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn vnni_rows<const R: usize>(high: &[i8], low: &[i8], w: *const i8, out: &mut [[i32; 2]]) {
        let (stride, flip) = (high.len(), _mm512_set1_epi8(-128));
        let mut sums = [[_mm512_setzero_si512(); 2]; R];
        for i in (0..stride).step_by(64) {
            // Near the end of these rows, the loop prefetches the start of the next ones.
            let next = if i + AHEAD < stride { i + AHEAD } else { (R - 1) * stride + i + AHEAD };
            // SAFETY: 64 bytes from `i` on are inside parts and rows; a prefetch may point anywhere.
            unsafe {
                let high = _mm512_xor_si512(_mm512_loadu_si512(high.as_ptr().add(i).cast()), flip);
                let low = _mm512_xor_si512(_mm512_loadu_si512(low.as_ptr().add(i).cast()), flip);
                for (r, sums) in sums.iter_mut().enumerate() {
                    let at = w.add(r * stride + i);
                    _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(r * stride + next).cast());
                    let weights = _mm512_loadu_si512(at.cast());
                    sums[0] = _mm512_dpbusd_epi32(sums[0], high, weights);
                    sums[1] = _mm512_dpbusd_epi32(sums[1], low, weights);
                }
            }
        }
        for (out, [high, low]) in out.iter_mut().zip(&sums) {
            *out = [_mm512_reduce_add_epi32(*high), _mm512_reduce_add_epi32(*low)];
        }
    }

    /// Computes products with `vpmaddubsw` of the absolute activations and the weights with the signs of the
    /// activations. A sum of two products is at most `2 * 127 * 127`, which fits 16 bits.
    ///
    /// # Safety
    /// Needs AVX2; parts and rows must have the same length, a multiple of 32 bytes.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn avx2(high: &[i8], low: &[i8], values: &[i8], out: &mut [[i32; 2]]) {
        let (stride, ones) = (high.len(), _mm256_set1_epi16(1));
        for (row, out) in values.chunks_exact(stride).zip(out) {
            let mut sums = [_mm256_setzero_si256(); 2];
            for i in (0..stride).step_by(32) {
                // SAFETY: 32 bytes from `i` on are inside parts and row; a prefetch may point anywhere.
                unsafe {
                    let at = row.as_ptr().add(i);
                    _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
                    let weights = _mm256_loadu_si256(at.cast());
                    for (sum, x) in sums.iter_mut().zip([high, low]) {
                        let x = _mm256_loadu_si256(x.as_ptr().add(i).cast());
                        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(weights, x));
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                    }
                }
            }
            *out = sums.map(|sum| {
                // SAFETY: both types are 32 bytes, and any bits are valid.
                let lanes: [i32; 8] = unsafe { std::mem::transmute(sum) };
                lanes.iter().sum()
            });
        }
    }
}
