//! Wrong orders of codes, which mistakes in packing and unpacking cause, and how to undo them.
//!
//! transformers packs row `r` of each quarter of a matrix into packed row `r`: its byte `c` holds column `c`
//! of the rows `r`, `r + R`, `r + 2R` and `r + 3R`, where `R` is a quarter of the rows. An engine that takes
//! the four codes of a byte for neighbours reads a different matrix, and a converter that packs neighbours
//! into a byte writes one.

use bitkv_checkpoint::Linear;
use rayon::prelude::*;

/// A mistake in the order of codes. Each mistake exchanges codes only within groups of four rows, which are
/// either adjacent or a quarter of the matrix apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// There is no mistake.
    Right,
    /// Each byte holds four neighbours of a row.
    NeighboursPacked,
    /// The bytes were unpacked as if each held four neighbours of a row, and the result was written.
    NeighboursUnpacked,
    /// Each byte holds one column of four neighbouring rows.
    RowsPacked,
    /// The bytes were unpacked as if each held one column of four neighbouring rows, and the result was
    /// written.
    RowsUnpacked,
    /// The first quarter of the rows is in the highest two bits of each byte instead of the lowest.
    HighPairFirst,
}

impl Order {
    /// Every mistake.
    pub(crate) const WRONG: [Order; 5] = [
        Order::NeighboursPacked,
        Order::NeighboursUnpacked,
        Order::RowsPacked,
        Order::RowsUnpacked,
        Order::HighPairFirst,
    ];

    /// Describes what was done to the weights.
    pub(crate) fn means(self) -> &'static str {
        match self {
            Order::Right => "codes are in the order they were trained in",
            Order::NeighboursPacked => {
                "each byte holds four neighbours of one row, but the four codes of a byte should belong to rows that are a \
                 quarter of the matrix apart"
            }
            Order::NeighboursUnpacked => {
                "the original was unpacked as four neighbours per byte, but the four codes of a byte belong to rows that \
                 are a quarter of the matrix apart, so each row is assembled from quarters of four unrelated neurons"
            }
            Order::RowsPacked => {
                "each byte holds a column of the neighbouring rows 4r to 4r+3, but the four codes of a byte should belong \
                 to rows that are a quarter of the matrix apart, so the neurons are in a wrong order"
            }
            Order::RowsUnpacked => {
                "the original was unpacked as rows 4r+i, but the four codes of a byte belong to rows that are a quarter of \
                 the matrix apart, so the neurons are in a wrong order"
            }
            Order::HighPairFirst => {
                "the first quarter of the rows is in the highest two bits of each byte instead of the lowest, so the \
                 neurons are in a wrong order"
            }
        }
    }

    /// Says what to do about the mistake.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Order::Right => "nothing needs to be done",
            Order::NeighboursPacked | Order::RowsPacked | Order::HighPairFirst => {
                "pack the weights again so that bits 2i and 2i+1 of packed row r hold row r + i * rows/4"
            }
            Order::NeighboursUnpacked | Order::RowsUnpacked => {
                "unpack the original file again: bits 2i and 2i+1 of packed row r belong to row r + i * rows/4"
            }
        }
    }

    /// Returns whether the mistake put codes of different rows into one row.
    pub(crate) fn mixes_rows(self) -> bool {
        matches!(self, Order::NeighboursPacked | Order::NeighboursUnpacked)
    }

    /// Returns the four rows of group `r` of a matrix with `4 * quarter` rows: where they are stored, and
    /// where they belong.
    pub(crate) fn rows(self, r: usize, quarter: usize) -> ([usize; 4], [usize; 4]) {
        let apart = [0, 1, 2, 3].map(|i| r + i * quarter);
        let together = [0, 1, 2, 3].map(|i| 4 * r + i);
        match self {
            Order::Right => (together, together),
            Order::NeighboursPacked | Order::RowsPacked => (apart, together),
            Order::NeighboursUnpacked | Order::RowsUnpacked => (together, apart),
            Order::HighPairFirst => (apart, [apart[3], apart[2], apart[1], apart[0]]),
        }
    }

    /// Writes the rows of group `r` in the right order to `buffers.restored`, one after another, and returns
    /// which rows they are.
    pub(crate) fn undo(self, linear: &Linear, r: usize, buffers: &mut Buffers) -> [usize; 4] {
        let cols = linear.shape().cols;
        let (stored, belong) = self.rows(r, linear.shape().rows / 4);
        for (row, out) in stored.into_iter().zip(buffers.stored.chunks_exact_mut(cols)) {
            linear.codes(row, out);
        }
        let (from, to) = (&buffers.stored, &mut buffers.restored);
        match self {
            Order::NeighboursPacked => (0..4 * cols).for_each(|at| to[at] = from[at % 4 * cols + at / 4]),
            Order::NeighboursUnpacked => (0..4 * cols).for_each(|at| to[at % 4 * cols + at / 4] = from[at]),
            _ => to.copy_from_slice(from),
        }
        belong
    }
}

/// Buffers for the codes of four rows, as they are stored and in the right order, `[4 * cols]` each.
pub(crate) struct Buffers {
    stored: Vec<u8>,
    pub(crate) restored: Vec<u8>,
}

impl Buffers {
    pub(crate) fn new(cols: usize) -> Buffers {
        Buffers { stored: vec![0; 4 * cols], restored: vec![0; 4 * cols] }
    }
}

/// The number of weights that are not zero in each row and in each column.
#[derive(Clone)]
pub(crate) struct NonZeros {
    pub(crate) rows: Vec<f32>,
    pub(crate) cols: Vec<f32>,
}

/// The number of groups of four rows that one task counts.
const TASK: usize = 64;

impl NonZeros {
    /// Counts the codes other than `zero` after undoing `order`.
    pub(crate) fn count(linear: &Linear, order: Order, zero: u8) -> NonZeros {
        let (groups, cols) = (linear.shape().rows / 4, linear.shape().cols);
        let part = |first: usize| {
            let (mut buffers, mut sums, mut rows) = (Buffers::new(cols), vec![0u32; cols], Vec::new());
            for group in first..groups.min(first + TASK) {
                let belong = order.undo(linear, group, &mut buffers);
                for (row, codes) in belong.into_iter().zip(buffers.restored.chunks_exact(cols)) {
                    rows.push((row, codes.iter().map(|code| u32::from(*code != zero)).sum::<u32>()));
                    sums.iter_mut().zip(codes).for_each(|(sum, code)| *sum += u32::from(*code != zero));
                }
            }
            (sums, rows)
        };
        let firsts: Vec<usize> = (0..groups).step_by(TASK).collect();
        let parts: Vec<_> = firsts.into_par_iter().map(part).collect();
        let mut counts = NonZeros { rows: vec![0.0; 4 * groups], cols: vec![0.0; cols] };
        for (sums, rows) in parts {
            counts.cols.iter_mut().zip(sums).for_each(|(count, sum)| *count += sum as f32);
            rows.into_iter().for_each(|(row, count)| counts.rows[row] = count as f32);
        }
        counts
    }

    /// Returns the counts that [`NonZeros::count`] gives for a mistake that leaves rows whole. `self` must be
    /// the counts of the stored order.
    pub(crate) fn reordered(&self, order: Order) -> NonZeros {
        let (groups, mut rows) = (self.rows.len() / 4, vec![0.0; self.rows.len()]);
        for group in 0..groups {
            let (stored, belong) = order.rows(group, groups);
            belong.into_iter().zip(stored).for_each(|(to, from)| rows[to] = self.rows[from]);
        }
        NonZeros { rows, cols: self.cols.clone() }
    }
}
