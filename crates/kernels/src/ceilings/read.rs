//! Reading memory that no cache holds.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::simd::dispatch;

/// 64-bit words read in one piece of work, by all streams together: 1 MiB.
const PIECE: usize = 1 << 17;
/// Streams of [`Streams::Several`].
const SEVERAL: usize = 4;
/// Words between what is read and what is asked for ahead: 2 KiB.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 256;

/// How a thread reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Streams {
    /// Front to back.
    One,
    /// Four places at a time, each asked for 2 KiB ahead: what a matrix product can do with its rows.
    Several,
}

/// Memory to read, touched once. Each thread has a part of its own and goes on where it left off, so that a buffer far
/// larger than the last-level cache is never found there.
pub struct ReadBuffer {
    words: Vec<u64>,
    /// Where each thread is, in pieces of its part.
    places: Vec<AtomicUsize>,
}

impl ReadBuffer {
    /// At least `bytes`, and a piece for each of `threads`.
    pub fn new(bytes: usize, threads: usize) -> ReadBuffer {
        let pieces = (bytes / 8).div_ceil(PIECE).max(threads);
        // A number that is not zero, because pages of zeros may all be the same one.
        let words = vec![0x9E37_79B9_7F4A_7C15; pieces * PIECE];
        ReadBuffer { words, places: (0..threads).map(|_| AtomicUsize::new(0)).collect() }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    /// Bytes a second that the current pool reads.
    ///
    /// # Panics
    /// When the pool has more threads than the buffer was made for.
    pub fn bytes_per_second(&self, streams: Streams) -> f64 {
        let threads = rayon::current_num_threads();
        assert!(threads <= self.places.len(), "the buffer was made for {} threads", self.places.len());
        let own = self.words.len() / PIECE / threads;
        super::rate(&|thread| {
            let place = self.places[thread].fetch_add(1, Relaxed) % own;
            let piece = &self.words[(thread * own + place) * PIECE..][..PIECE];
            let sum = match streams {
                Streams::One => read_one(piece),
                Streams::Several => read_several(piece),
            };
            std::hint::black_box(sum);
            8 * PIECE as u64
        })
    }
}

dispatch! {
fn read_one(words: &[u64]) -> u64 {
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
fn read_several(words: &[u64]) -> u64 {
    let mut sums = [[0u64; 8]; SEVERAL];
    let stride = words.len() / SEVERAL;
    for at in (0..stride).step_by(8) {
        for (stream, sums) in sums.iter_mut().enumerate() {
            let line = &words[stream * stride + at..][..8];
            ask(line);
            for i in 0..8 {
                sums[i] ^= line[i];
            }
        }
    }
    sums.as_flattened().iter().fold(0, |sum, word| sum ^ word)
}
}

#[inline(always)]
fn ask(line: &[u64]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that the program sees and never faults, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().wrapping_add(AHEAD).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
