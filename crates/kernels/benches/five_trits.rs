//! An experiment: five ternary weights per byte (base 3) compared with four, when decoding streams weights
//! from memory.
//!
//! A byte is a number below 243. A table lookup (`vpermi2b`, AVX-512 VBMI) gives four weights of two bits,
//! and two comparisons give the fifth. With five weights per byte, decoding reads a fifth less memory but
//! runs twice as many instructions.

#[cfg(target_arch = "x86_64")]
mod streams {
    use std::arch::x86_64::*;

    use bitkv_bytes::Pages;

    /// Number of columns of the matrices. In both layouts they fill a whole number of vectors.
    pub(crate) const COLS: usize = 2560;
    /// Number of bytes in sixteen rows with four weights per byte.
    pub(crate) const FOUR: usize = COLS / 16 * 64;
    /// Number of bytes in sixteen rows with five weights per byte.
    pub(crate) const FIVE: usize = COLS / 20 * 64;
    /// Prefetch distance in bytes.
    const AHEAD: usize = 2048;
    /// The four lowest of the five weights of each byte, two bits per weight.
    static TABLE: [u8; 256] = {
        let (mut table, mut b) = ([0; 256], 0);
        while b < 256 {
            table[b] = (b % 3 + 4 * (b / 3 % 3) + 16 * (b / 9 % 3) + 64 * (b / 27 % 3)) as u8;
            b += 1;
        }
        table
    };

    pub(crate) fn available() -> bool {
        is_x86_feature_detected!("avx512vbmi") && is_x86_feature_detected!("avx512vnni")
    }

    /// Returns groups of sixteen rows whose bytes are `code` of a pseudorandom byte.
    pub(crate) fn weights(groups: usize, bytes: usize, code: fn(u8) -> u8) -> Pages {
        let mut pages = Pages::zeroed(groups * bytes).expect("there is enough memory for the experiment");
        let mut state = 1u64;
        for byte in pages.iter_mut() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *byte = code((state >> 33) as u8);
        }
        pages
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn broadcast(at: *const i8) -> __m512i {
        // SAFETY: the caller guarantees four bytes.
        _mm512_set1_epi32(unsafe { at.cast::<i32>().read_unaligned() })
    }

    #[target_feature(enable = "avx512f")]
    fn total([a, b, c, d]: [__m512i; 4]) -> i32 {
        let low = _mm512_add_epi32(a, _mm512_srai_epi32::<2>(b));
        let high = _mm512_add_epi32(_mm512_srai_epi32::<4>(c), _mm512_srai_epi32::<6>(d));
        _mm512_reduce_add_epi32(_mm512_add_epi32(low, high))
    }

    /// Multiplies a group with four weights per byte by `x` and returns the sum of all products.
    ///
    /// # Safety
    /// [`available`] must be true; `group` must hold [`FOUR`] bytes and `x` [`COLS`] activations.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(crate) unsafe fn four(x: &[i8], group: &[u8]) -> i32 {
        let masks = [3, 12, 48, 192].map(|mask: u8| _mm512_set1_epi8(mask as i8));
        let mut sums = [_mm512_setzero_si512(); 4];
        for (bytes, x) in group.chunks_exact(64).zip(x.chunks_exact(16)) {
            // SAFETY: the chunks hold 64 bytes and 16 activations.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(AHEAD).cast());
                let bytes = _mm512_loadu_si512(bytes.as_ptr().cast());
                for (plane, (sum, mask)) in sums.iter_mut().zip(&masks).enumerate() {
                    let x = broadcast(x.as_ptr().add(plane * 4));
                    *sum = _mm512_dpbusd_epi32(*sum, _mm512_and_si512(bytes, *mask), x);
                }
            }
        }
        total(sums)
    }

    /// Multiplies a group with five weights per byte by `x` and returns the sum of all products.
    ///
    /// # Safety
    /// [`available`] must be true; `group` must hold [`FIVE`] bytes and `x` [`COLS`] activations.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
    pub(crate) unsafe fn five(x: &[i8], group: &[u8]) -> i32 {
        // SAFETY: the table has 256 bytes, four times 64.
        let (a, b, c, d) = unsafe {
            let at = TABLE.as_ptr().cast::<__m512i>();
            (
                _mm512_loadu_si512(at),
                _mm512_loadu_si512(at.add(1)),
                _mm512_loadu_si512(at.add(2)),
                _mm512_loadu_si512(at.add(3)),
            )
        };
        let masks = [3, 12, 48, 192].map(|mask: u8| _mm512_set1_epi8(mask as i8));
        let (above80, above161, one) =
            (_mm512_set1_epi8(80), _mm512_set1_epi8(161u8 as i8), _mm512_set1_epi8(1));
        let (mut sums, mut fifth) = ([_mm512_setzero_si512(); 4], _mm512_setzero_si512());
        for (bytes, x) in group.chunks_exact(64).zip(x.chunks_exact(20)) {
            // SAFETY: the chunks hold 64 bytes and 20 activations.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(AHEAD).cast());
                let bytes = _mm512_loadu_si512(bytes.as_ptr().cast());
                let (low, high) =
                    (_mm512_permutex2var_epi8(a, bytes, b), _mm512_permutex2var_epi8(c, bytes, d));
                let codes = _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(bytes), high);
                for (plane, (sum, mask)) in sums.iter_mut().zip(&masks).enumerate() {
                    let x = broadcast(x.as_ptr().add(plane * 4));
                    *sum = _mm512_dpbusd_epi32(*sum, _mm512_and_si512(codes, *mask), x);
                }
                let over80 = _mm512_min_epu8(_mm512_subs_epu8(bytes, above80), one);
                let over161 = _mm512_min_epu8(_mm512_subs_epu8(bytes, above161), one);
                let top = _mm512_add_epi8(over80, over161);
                fifth = _mm512_dpbusd_epi32(fifth, top, broadcast(x.as_ptr().add(16)));
            }
        }
        total(sums) + _mm512_reduce_add_epi32(fifth)
    }
}

#[cfg(target_arch = "x86_64")]
fn layouts(criterion: &mut criterion::Criterion) {
    use criterion::Throughput;
    use rayon::prelude::*;
    use streams::{COLS, FIVE, FOUR};

    /// Number of groups of sixteen rows. With four weights per byte they take half a gigabyte.
    const GROUPS: usize = 50_000;
    if !streams::available() {
        eprintln!("skipped: this machine has no AVX-512 VBMI");
        return;
    }
    let x: Vec<i8> = (0..COLS).map(|i| (i % 251) as i8).collect();
    let two_bits = |code: u8| (0..4).map(|i| ((code >> (2 * i)) & 3).min(2) << (2 * i)).sum();
    let (four, five) =
        (streams::weights(GROUPS, FOUR, two_bits), streams::weights(GROUPS, FIVE, |code| code % 243));
    let mut group = criterion.benchmark_group("weights-in-a-byte");
    group.sample_size(20).throughput(Throughput::Elements((GROUPS * 16 * COLS) as u64));
    group.bench_function("four", |b| {
        // SAFETY: the machine has the instructions, and the groups have this size.
        b.iter(|| four.par_chunks_exact(FOUR).map(|g| unsafe { streams::four(&x, g) as i64 }).sum::<i64>());
    });
    group.bench_function("five", |b| {
        // SAFETY: as above.
        b.iter(|| five.par_chunks_exact(FIVE).map(|g| unsafe { streams::five(&x, g) as i64 }).sum::<i64>());
    });
    group.finish();
}

#[cfg(not(target_arch = "x86_64"))]
fn layouts(_: &mut criterion::Criterion) {}

criterion::criterion_group!(benches, layouts);
criterion::criterion_main!(benches);
