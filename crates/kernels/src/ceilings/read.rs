//! Peak rate of reading memory that is not in a cache.

use crate::simd::dispatch;

/// Number of 64-bit words that one task reads: 1 MiB.
pub const PIECE: usize = 1 << 17;
/// Number of streams of [`read_several_streams`].
const STREAMS: usize = 4;
/// Prefetch distance in words: 2 KiB.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 256;

dispatch! {
/// Reads words sequentially. Returns their exclusive or, so that the compiler cannot skip any.
pub fn read_front_to_back(words: &[u64]) -> u64 {
    let mut sums = [[0u64; 8]; 4];
    for lines in words.chunks_exact(32) {
        for (sums, line) in sums.iter_mut().zip(lines.chunks_exact(8)) {
            for i in 0..8 {
                sums[i] ^= line[i];
            }
        }
    }
    sums.as_flattened().iter().fold(0, |sum, word| sum ^ word)
}
}

dispatch! {
/// Reads words as four interleaved streams, each prefetched 2 KiB ahead, as a matrix product reads its rows.
/// Returns their exclusive or.
pub fn read_several_streams(words: &[u64]) -> u64 {
    let mut sums = [[0u64; 8]; STREAMS];
    let stride = words.len() / STREAMS;
    for at in (0..stride).step_by(8) {
        for (stream, sums) in sums.iter_mut().enumerate() {
            let line = &words[stream * stride + at..][..8];
            prefetch_ahead(line);
            for i in 0..8 {
                sums[i] ^= line[i];
            }
        }
    }
    sums.as_flattened().iter().fold(0, |sum, word| sum ^ word)
}
}

#[inline(always)]
fn prefetch_ahead(line: &[u64]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch does not change what the program sees and never faults, at any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().wrapping_add(AHEAD).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
