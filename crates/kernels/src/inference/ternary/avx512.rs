//! The kernels for AVX-512. `vpdpbusd` on 512-bit registers multiplies sixteen rows at a time.

use std::arch::x86_64::*;

/// Prefetch distance within a stream of weights, in bytes.
const AHEAD: usize = 2048;

/// Loads 64 bytes.
///
/// # Safety
/// `at` must be valid for 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(at: *const u8) -> __m512i {
    // SAFETY: the caller upholds the contract.
    unsafe { _mm512_loadu_si512(at.cast()) }
}

/// Loads four activations and repeats them for every row.
///
/// # Safety
/// `at` must be valid for 4 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn broadcast(at: *const i8) -> __m512i {
    // SAFETY: the caller upholds the contract.
    _mm512_set1_epi32(unsafe { at.cast::<i32>().read_unaligned() })
}

/// Multiplies `T` tokens by `G` packed groups of `group_bytes` bytes each and writes the sums to
/// `out[token][16 * group + row]`.
///
/// The four codes of a byte are masked but not shifted, so their sums are 1, 4, 16 and 64 times too large. A
/// shift of each sum at the end corrects this.
///
/// # Safety
/// Needs AVX-512 F, BW and VNNI; every pointer must be valid for its shape.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn packed<const T: usize, const G: usize>(
    (x, x_stride): (*const i8, usize),
    (weights, group_bytes): (*const u8, usize),
    (out, out_stride): (*mut i32, usize),
) {
    let masks = [3, 12, 48, 192].map(|mask: u8| _mm512_set1_epi8(mask as i8));
    let mut sums = [[[_mm512_setzero_si512(); 4]; G]; T];
    for i in (0..group_bytes).step_by(64) {
        let mut bytes = [_mm512_setzero_si512(); G];
        for (g, bytes) in bytes.iter_mut().enumerate() {
            // SAFETY: 64 bytes from here on are inside the group; a prefetch may point anywhere.
            unsafe {
                let at = weights.add(g * group_bytes + i);
                _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(AHEAD).cast());
                *bytes = load(at);
            }
        }
        for (plane, mask) in masks.iter().enumerate() {
            let mut codes = [_mm512_setzero_si512(); G];
            for (codes, bytes) in codes.iter_mut().zip(&bytes) {
                *codes = _mm512_and_si512(*bytes, *mask);
            }
            for (t, sums) in sums.iter_mut().enumerate() {
                // SAFETY: 64 packed bytes hold sixteen columns, so byte `i` belongs to column `i / 4`.
                let x = unsafe { broadcast(x.add(t * x_stride + i / 4 + plane * 4)) };
                for (sums, codes) in sums.iter_mut().zip(&codes) {
                    sums[plane] = _mm512_dpbusd_epi32(sums[plane], *codes, x);
                }
            }
        }
    }
    for (t, sums) in sums.iter().enumerate() {
        for (g, [a, b, c, d]) in sums.iter().enumerate() {
            let low = _mm512_add_epi32(*a, _mm512_srai_epi32::<2>(*b));
            let high = _mm512_add_epi32(_mm512_srai_epi32::<4>(*c), _mm512_srai_epi32::<6>(*d));
            // SAFETY: the caller guarantees room for sixteen results of this token and group.
            unsafe {
                _mm512_storeu_si512(out.add(t * out_stride + g * 16).cast(), _mm512_add_epi32(low, high));
            }
        }
    }
}

/// Unpacks the codes into one byte per code.
///
/// # Safety
/// Needs AVX-512 F and BW; `codes` must hold four bytes for each packed byte.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn unpack(packed: &[u8], codes: &mut [u8]) {
    let mask = _mm512_set1_epi8(3);
    for (bytes, codes) in packed.chunks_exact(64).zip(codes.chunks_exact_mut(256)) {
        // SAFETY: the chunks hold 64 and 256 bytes.
        unsafe {
            let (bytes, to) = (load(bytes.as_ptr()), codes.as_mut_ptr().cast::<__m512i>());
            _mm512_storeu_si512(to, _mm512_and_si512(bytes, mask));
            _mm512_storeu_si512(to.add(1), _mm512_and_si512(_mm512_srli_epi16::<2>(bytes), mask));
            _mm512_storeu_si512(to.add(2), _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), mask));
            _mm512_storeu_si512(to.add(3), _mm512_and_si512(_mm512_srli_epi16::<6>(bytes), mask));
        }
    }
}

/// Multiplies eight tokens by two unpacked groups and writes the sums to `out[token][16 * group + row]`.
///
/// # Safety
/// Needs AVX-512 F and VNNI; every pointer must be valid for its shape.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn unpacked(
    (x, x_stride): (*const i8, usize),
    (codes, group_bytes): (*const u8, usize),
    (out, out_stride): (*mut i32, usize),
) {
    let mut sums = [[_mm512_setzero_si512(); 2]; 8];
    for i in (0..group_bytes).step_by(64) {
        // SAFETY: 64 codes from `i` on are inside each group, and their four activations are inside each
        // token.
        unsafe {
            let codes = [load(codes.add(i)), load(codes.add(group_bytes + i))];
            for (t, sums) in sums.iter_mut().enumerate() {
                let x = broadcast(x.add(t * x_stride + i / 16));
                for (sum, codes) in sums.iter_mut().zip(&codes) {
                    *sum = _mm512_dpbusd_epi32(*sum, *codes, x);
                }
            }
        }
    }
    for (t, sums) in sums.iter().enumerate() {
        for (g, sum) in sums.iter().enumerate() {
            // SAFETY: the caller guarantees room for sixteen results of this token and group.
            unsafe { _mm512_storeu_si512(out.add(t * out_stride + g * 16).cast(), *sum) };
        }
    }
}
