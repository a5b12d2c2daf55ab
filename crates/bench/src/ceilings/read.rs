//! Measures how fast memory is read that is not in any CPU cache.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bitkv_kernels::ceilings::{PIECE, read_front_to_back, read_several_streams};

/// How a thread reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Streams {
    /// One stream, from front to back.
    One,
    /// Four streams at a time, each prefetched 2 KiB ahead, as a matrix product can read its rows.
    Several,
}

/// Memory to read, whose pages were all written once. Each thread has its own part and continues where it
/// stopped, so that a buffer far larger than the last-level cache is never served from that cache.
pub(crate) struct ReadBuffer {
    words: Vec<u64>,
    /// The next piece of each thread, counted from the start of its part.
    next_pieces: Vec<AtomicUsize>,
}

impl ReadBuffer {
    /// Allocates at least `bytes` and at least one piece for each of `threads`.
    pub(crate) fn new(bytes: usize, threads: usize) -> ReadBuffer {
        let pieces = (bytes / 8).div_ceil(PIECE).max(threads);
        // The value is not zero, because the system may map all pages of zeros to one page.
        let words = vec![0x9E37_79B9_7F4A_7C15; pieces * PIECE];
        ReadBuffer { words, next_pieces: (0..threads).map(|_| AtomicUsize::new(0)).collect() }
    }

    /// Returns the size in bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    /// Returns how many bytes per second the current rayon pool reads.
    ///
    /// # Panics
    /// Panics if the pool has more threads than the buffer was made for.
    pub(crate) fn bytes_per_second(&self, streams: Streams) -> f64 {
        let threads = rayon::current_num_threads();
        let most = self.next_pieces.len();
        assert!(threads <= most, "the buffer was made for {most} threads");
        let pieces_per_thread = self.words.len() / PIECE / threads;
        super::rate::rate(&|thread| {
            let next = self.next_pieces[thread].fetch_add(1, Relaxed) % pieces_per_thread;
            let piece = &self.words[(thread * pieces_per_thread + next) * PIECE..][..PIECE];
            let sum = match streams {
                Streams::One => read_front_to_back(piece),
                Streams::Several => read_several_streams(piece),
            };
            std::hint::black_box(sum);
            8 * PIECE as u64
        })
    }
}
