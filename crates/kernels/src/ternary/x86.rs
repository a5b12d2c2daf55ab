//! Codes are unsigned bytes and activations signed ones: the operands of `vpdpbusd` and `vpmaddubsw`.

use std::arch::x86_64::*;

/// # Safety
/// Needs AVX-512 F, BW and VNNI; `x` holds four activations for each packed byte.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn dot_packed_avx512(packed: &[u8], x: &[i8]) -> i32 {
    let mask = _mm512_set1_epi8(3);
    let mut sums = [_mm512_setzero_si512(); 4];
    for i in 0..packed.len() / 64 {
        // SAFETY: 64 bytes and 256 activations from here on are inside the slices.
        let (bytes, x) = unsafe { (load(packed.as_ptr().add(i * 64)), x.as_ptr().add(i * 256)) };
        let planes = [
            bytes,
            _mm512_srli_epi16::<2>(bytes),
            _mm512_srli_epi16::<4>(bytes),
            _mm512_srli_epi16::<6>(bytes),
        ];
        for (plane, (sum, codes)) in sums.iter_mut().zip(&planes).enumerate() {
            // SAFETY: as above.
            let x = unsafe { load(x.add(plane * 64)) };
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_and_si512(*codes, mask), x);
        }
    }
    let [a, b, c, d] = sums;
    _mm512_reduce_add_epi32(_mm512_add_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(c, d)))
}

/// # Safety
/// `at` must be valid for 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load<T>(at: *const T) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_loadu_si512(at.cast()) }
}

/// # Safety
/// Needs AVX-512 F; `codes` holds four bytes for each packed one.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn unpack_avx512(packed: &[u8], codes: &mut [u8]) {
    let mask = _mm512_set1_epi8(3);
    for (bytes, codes) in packed.chunks_exact(64).zip(codes.chunks_exact_mut(256)) {
        // SAFETY: a chunk of 64 bytes and one of 256.
        unsafe {
            let (bytes, to) = (load(bytes.as_ptr()), codes.as_mut_ptr().cast::<__m512i>());
            _mm512_storeu_si512(to, _mm512_and_si512(bytes, mask));
            _mm512_storeu_si512(to.add(1), _mm512_and_si512(_mm512_srli_epi16::<2>(bytes), mask));
            _mm512_storeu_si512(to.add(2), _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), mask));
            _mm512_storeu_si512(to.add(3), _mm512_and_si512(_mm512_srli_epi16::<6>(bytes), mask));
        }
    }
}

/// # Safety
/// Needs AVX-512 F, BW and VNNI; `codes` holds four rows as long as each `x`, a multiple of 64.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn dots_avx512(x: [&[i8]; 4], codes: &[u8]) -> [[i32; 4]; 4] {
    let stride = codes.len() / 4;
    let mut sums = [[_mm512_setzero_si512(); 4]; 4];
    for i in (0..stride).step_by(64) {
        // No `from_fn` or `map` on registers: they are not compiled for these instructions, and a
        // register that passes through them goes by way of memory.
        let mut rows = [_mm512_setzero_si512(); 4];
        for (r, row) in rows.iter_mut().enumerate() {
            // SAFETY: 64 bytes from `i` on are inside each row.
            *row = unsafe { load(codes.as_ptr().add(r * stride + i)) };
        }
        for (sums, x) in sums.iter_mut().zip(&x) {
            // SAFETY: as above.
            let x = unsafe { load(x.as_ptr().add(i)) };
            for (sum, row) in sums.iter_mut().zip(&rows) {
                *sum = _mm512_dpbusd_epi32(*sum, *row, x);
            }
        }
    }
    let mut out = [[0; 4]; 4];
    for (out, [a, b, c, d]) in out.iter_mut().zip(&sums) {
        *out = finish([quarter512(*a), quarter512(*b), quarter512(*c), quarter512(*d)]);
    }
    out
}

#[inline]
#[target_feature(enable = "avx512f")]
fn quarter512(v: __m512i) -> __m128i {
    quarter(_mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64::<1>(v)))
}

/// The sums of four registers of four.
#[inline]
#[target_feature(enable = "ssse3")]
fn finish([a, b, c, d]: [__m128i; 4]) -> [i32; 4] {
    let sums = _mm_hadd_epi32(_mm_hadd_epi32(a, b), _mm_hadd_epi32(c, d));
    let mut out = [0; 4];
    // SAFETY: 16 bytes of room.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), sums) };
    out
}

/// # Safety
/// `at` must be valid for 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load256<T>(at: *const T) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_loadu_si256(at.cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn quarter(v: __m256i) -> __m128i {
    _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v))
}

/// # Safety
/// Needs AVX2; `x` holds four activations for each packed byte.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn dot_packed_avx2(packed: &[u8], x: &[i8]) -> i32 {
    let (mask, ones) = (_mm256_set1_epi8(3), _mm256_set1_epi16(1));
    let mut sum = _mm256_setzero_si256();
    for i in 0..packed.len() / 32 {
        // The two halves of a block's 64 bytes have their activations 32 apart.
        let start = i / 2 * 256 + i % 2 * 32;
        // SAFETY: 32 bytes here and 32 activations in each of four planes are inside the slices.
        let (bytes, x) = unsafe { (load256(packed.as_ptr().add(i * 32)), x.as_ptr().add(start)) };
        let planes = [
            bytes,
            _mm256_srli_epi16::<2>(bytes),
            _mm256_srli_epi16::<4>(bytes),
            _mm256_srli_epi16::<6>(bytes),
        ];
        let mut pairs = _mm256_setzero_si256();
        for (plane, codes) in planes.iter().enumerate() {
            // SAFETY: as above. A pair is at most 2 * 3 * 128, four of them fit 16 bits.
            let x = unsafe { load256(x.add(plane * 64)) };
            pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(_mm256_and_si256(*codes, mask), x));
        }
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
    }
    let quarter = quarter(sum);
    finish([quarter; 4])[0]
}

/// # Safety
/// Needs AVX2; `codes` holds four rows as long as each `x`, a multiple of 64.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn dots_avx2(x: [&[i8]; 4], codes: &[u8]) -> [[i32; 4]; 4] {
    let (stride, ones) = (codes.len() / 4, _mm256_set1_epi16(1));
    let mut out = [[0; 4]; 4];
    // Two tokens at a time: sixteen registers do not hold sixteen sums.
    for t in [0, 2] {
        let mut sums = [[_mm256_setzero_si256(); 4]; 2];
        for i in (0..stride).step_by(64) {
            for (sums, x) in sums.iter_mut().zip(&x[t..t + 2]) {
                // SAFETY: 64 bytes from `i` on are inside each row.
                let x = unsafe { [load256(x.as_ptr().add(i)), load256(x.as_ptr().add(i + 32))] };
                for (r, sum) in sums.iter_mut().enumerate() {
                    let at = r * stride + i;
                    // SAFETY: as above.
                    let codes =
                        unsafe { [load256(codes.as_ptr().add(at)), load256(codes.as_ptr().add(at + 32))] };
                    let pairs = _mm256_add_epi16(
                        _mm256_maddubs_epi16(codes[0], x[0]),
                        _mm256_maddubs_epi16(codes[1], x[1]),
                    );
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            let [a, b, c, d] = sums;
            out[t + i] = finish([quarter(a), quarter(b), quarter(c), quarter(d)]);
        }
    }
    out
}
