//! The kernels for AVX2. `vpmaddubsw` on 256-bit registers multiplies eight rows at a time.
//!
//! The absolute value of a pair of products is at most `2 * 2 * 128`, so the sum of 63 pairs fits 16 bits.
//! Sums are widened to 32 bits before they have more pairs.

use std::arch::x86_64::*;

/// Number of vectors of packed bytes between widenings. Each vector adds four pairs to a lane, which makes 60
/// pairs.
const PACKED_STEPS: usize = 15;
/// Number of vectors of codes between widenings. Each vector adds one pair to a lane.
const UNPACKED_STEPS: usize = 60;

/// Loads 32 bytes.
///
/// # Safety
/// `at` must be valid for 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(at: *const u8) -> __m256i {
    // SAFETY: the caller upholds the contract.
    unsafe { _mm256_loadu_si256(at.cast()) }
}

/// Loads four activations and repeats them for every row.
///
/// # Safety
/// `at` must be valid for 4 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn broadcast(at: *const i8) -> __m256i {
    // SAFETY: the caller upholds the contract.
    _mm256_set1_epi32(unsafe { at.cast::<i32>().read_unaligned() })
}

/// Multiplies `T` tokens by one packed group and writes the sums to `out[token][row]`.
///
/// # Safety
/// Needs AVX2; every pointer must be valid for its shape.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn packed<const T: usize>(
    (x, x_stride): (*const i8, usize),
    (weights, group_bytes): (*const u8, usize),
    (out, out_stride): (*mut i32, usize),
) {
    let (mask, ones) = (_mm256_set1_epi8(3), _mm256_set1_epi16(1));
    let mut sums = [[_mm256_setzero_si256(); 2]; T];
    for first in (0..group_bytes).step_by(64 * PACKED_STEPS) {
        let mut pairs = [[_mm256_setzero_si256(); 2]; T];
        for i in (first..group_bytes.min(first + 64 * PACKED_STEPS)).step_by(64) {
            for half in 0..2 {
                // SAFETY: 64 bytes from `i` on are inside the group; a prefetch may point anywhere.
                let bytes = unsafe {
                    let at = weights.add(i + half * 32);
                    _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(1024).cast());
                    load(at)
                };
                let planes = [
                    bytes,
                    _mm256_srli_epi16::<2>(bytes),
                    _mm256_srli_epi16::<4>(bytes),
                    _mm256_srli_epi16::<6>(bytes),
                ];
                for (plane, codes) in planes.iter().enumerate() {
                    let codes = _mm256_and_si256(*codes, mask);
                    for (t, pairs) in pairs.iter_mut().enumerate() {
                        // SAFETY: 64 packed bytes hold sixteen columns, so byte `i` belongs to column
                        // `i / 4`.
                        let x = unsafe { broadcast(x.add(t * x_stride + i / 4 + plane * 4)) };
                        pairs[half] = _mm256_add_epi16(pairs[half], _mm256_maddubs_epi16(codes, x));
                    }
                }
            }
        }
        widen(&mut sums, &pairs, ones);
    }
    // SAFETY: the caller guarantees room for sixteen results per token.
    unsafe { store(&sums, out, out_stride) }
}

/// Unpacks the codes into one byte per code.
///
/// # Safety
/// Needs AVX2; `codes` must hold four bytes for each packed byte.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn unpack(packed: &[u8], codes: &mut [u8]) {
    super::portable::unpack(packed, codes);
}

/// Multiplies four tokens by one unpacked group and writes the sums to `out[token][row]`.
///
/// # Safety
/// Needs AVX2; every pointer must be valid for its shape.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn unpacked(
    (x, x_stride): (*const i8, usize),
    (codes, group_bytes): (*const u8, usize),
    (out, out_stride): (*mut i32, usize),
) {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_si256(); 2]; 4];
    for first in (0..group_bytes).step_by(64 * UNPACKED_STEPS) {
        let mut pairs = [[_mm256_setzero_si256(); 2]; 4];
        for i in (first..group_bytes.min(first + 64 * UNPACKED_STEPS)).step_by(64) {
            // SAFETY: 64 codes from `i` on are inside the group, and their four activations are inside each
            // token.
            unsafe {
                let codes = [load(codes.add(i)), load(codes.add(i + 32))];
                for (t, pairs) in pairs.iter_mut().enumerate() {
                    let x = broadcast(x.add(t * x_stride + i / 16));
                    for (pairs, codes) in pairs.iter_mut().zip(&codes) {
                        *pairs = _mm256_add_epi16(*pairs, _mm256_maddubs_epi16(*codes, x));
                    }
                }
            }
        }
        widen(&mut sums, &pairs, ones);
    }
    // SAFETY: the caller guarantees room for sixteen results per token.
    unsafe { store(&sums, out, out_stride) }
}

/// Adds sums of 16 bits to sums of 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn widen<const T: usize>(sums: &mut [[__m256i; 2]; T], pairs: &[[__m256i; 2]; T], ones: __m256i) {
    for (sums, pairs) in sums.iter_mut().zip(pairs) {
        for (sum, pairs) in sums.iter_mut().zip(pairs) {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(*pairs, ones));
        }
    }
}

/// Writes sixteen results per token; tokens are `stride` results apart.
///
/// # Safety
/// `out` must be valid for these results.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store<const T: usize>(sums: &[[__m256i; 2]; T], out: *mut i32, stride: usize) {
    for (t, sums) in sums.iter().enumerate() {
        for (half, sum) in sums.iter().enumerate() {
            // SAFETY: the caller upholds the contract.
            unsafe { _mm256_storeu_si256(out.add(t * stride + half * 8).cast(), *sum) };
        }
    }
}
