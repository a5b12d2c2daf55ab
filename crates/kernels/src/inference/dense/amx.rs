//! Products on the AMX tile unit.
//!
//! The tiles multiply bf16 numbers and sum in f32. The weights are the left operand, and the activations are
//! packed as the right operand, in one or three parts:
//!
//! - Three parts are exact. An f32 has 24 significant bits and a bf16 has eight, so an activation is exactly
//!   the sum of three bf16 numbers, whose products with bf16 weights are exact in f32. Only the sums are
//!   rounded.
//! - With one part, activations and weights are rounded to bf16. This takes a third of the time.
//!
//! Weights in bf16 are read in place. Others are rounded row by row, each task its own rows.

mod pack;
mod tiles;

use std::ops::Range;

use half::bf16;
use pack::Packed;
use tiles::Product;

use super::{Dense, fma};
use crate::{Level, scatter::Scatter, transpose::transpose};

/// Number of rows of weights, or of tokens, in a tile.
const SIDE: usize = 16;
/// Number of columns that one step multiplies.
const DEPTH: usize = 32;
/// The largest number of rows whose sums stay in tiles. Their sums take four of the eight tiles. The parts of
/// the activations, and the weights, take the other four.
const ROWS: usize = 4 * SIDE;

/// The packed activations of a product, which all tasks share.
pub(super) struct Job<const PARTS: usize> {
    packed: Packed<PARTS>,
    cols: usize,
}

impl<const PARTS: usize> Job<PARTS> {
    /// Number of rows in a task, which multiplies them by all tokens. These rows stay in the second-level
    /// cache. Linear layers have fewer rows than an LM head, so their tasks are smaller.
    pub(super) const TASK_ROWS: usize = if PARTS == 1 { ROWS } else { 3 * ROWS };

    pub(super) fn new(x: &[f32], cols: usize) -> Self {
        Job { packed: Packed::new(x, cols), cols }
    }

    /// Multiplies all tokens by a range of rows. `scratch` is a buffer.
    ///
    /// # Safety
    /// The machine must have the tile unit, and no one else may write these rows of `out`.
    pub(super) unsafe fn multiply(
        &self,
        weights: Dense<'_>,
        range: Range<usize>,
        scratch: &mut Vec<bf16>,
        out: Scatter<'_, f32>,
    ) {
        let stride = self.packed.steps * DEPTH;
        let (rows, cols) = match weights {
            Dense::Bf16(weights) if self.cols == stride => {
                (&weights[range.start * stride..range.end * stride], stride)
            }
            _ => {
                // Rows are padded with zeros to whole steps, and the last rows to a whole tile.
                scratch.clear();
                scratch.resize(range.len().next_multiple_of(SIDE) * stride, bf16::ZERO);
                let mut row = vec![0.0; self.cols.next_multiple_of(crate::lanes::LANES)];
                for (index, to) in range.clone().zip(scratch.chunks_exact_mut(stride)) {
                    // SAFETY: a machine with the tile unit has AVX-512.
                    unsafe { fma::read_row(Level::Avx512, weights, self.cols, index, &mut row) }
                    to.iter_mut().zip(&row[..self.cols]).for_each(|(to, x)| *to = pack::round(*x));
                }
                (&scratch[..], stride)
            }
        };
        let task = Task { packed: &self.packed, rows, stride: cols, range, out };
        for first in (0..self.packed.tokens).step_by(SIDE) {
            // SAFETY: the caller upholds the contract.
            unsafe { task.multiply_group(first) }
        }
    }
}

/// The operands of a task.
struct Task<'a, const PARTS: usize> {
    packed: &'a Packed<PARTS>,
    /// The rows of the task. If they are a copy, they are padded to whole tiles.
    rows: &'a [bf16],
    stride: usize,
    range: Range<usize>,
    out: Scatter<'a, f32>,
}

impl<const PARTS: usize> Task<'_, PARTS> {
    /// Multiplies the group of up to 16 tokens that starts at `first` by the rows of the task.
    ///
    /// # Safety
    /// The machine must have the tile unit, and no one else may write these rows of the output.
    unsafe fn multiply_group(&self, first: usize) {
        let tokens = SIDE.min(self.packed.tokens - first);
        // With few tokens, the weights are read only once. Such a pass is slower if it reads more rows at a
        // time than the prefetchers can follow.
        let most = if self.packed.tokens > SIDE { ROWS } else { HALF };
        let (mut sums, mut row, stride) = ([[0.0; SIDE]; ROWS], 0, self.stride);
        let mut padded = Vec::new();
        while row < self.range.len() {
            let left = self.range.len() - row;
            let count = if left >= most { most } else { left.min(SIDE) };
            let mut operand = &self.rows[row * stride..];
            if operand.len() < SIDE * stride {
                // Rows that are read in place may end within a tile.
                padded.extend_from_slice(operand);
                padded.resize(SIDE * stride, bf16::ZERO);
                operand = &padded;
            }
            let product = Product { left: operand, stride, right: self.packed.group(first), tokens };
            // SAFETY: the caller guarantees the unit and the rows.
            unsafe {
                match count {
                    ROWS => product.sum::<PARTS, 4>(&mut sums),
                    HALF => product.sum::<PARTS, 2>(&mut sums),
                    _ => product.sum::<PARTS, 1>(&mut sums),
                }
                write_sums(&mut sums[..count], self.range.start + row, first, tokens, self.out);
            }
            row += count;
        }
    }
}

const HALF: usize = ROWS / 2;

/// Writes the first `tokens` columns of the sums `[rows, 16]` to `out`, from token `first` and row `row` on.
///
/// # Safety
/// No other thread may write these cells.
unsafe fn write_sums(
    sums: &mut [[f32; SIDE]],
    row: usize,
    first: usize,
    tokens: usize,
    out: Scatter<'_, f32>,
) {
    if tokens < SIDE || sums.len() < SIDE {
        for (r, sums) in sums.iter().enumerate() {
            for (t, sum) in sums[..tokens].iter().enumerate() {
                // SAFETY: the caller upholds the contract.
                unsafe { out.put(first + t, row + r, *sum) }
            }
        }
        return;
    }
    for (b, block) in sums.as_chunks_mut::<SIDE>().0.iter_mut().enumerate() {
        // SAFETY: both types are 256 words of four bytes, and any bits are valid in both.
        transpose(unsafe { &mut *(&raw mut *block).cast() });
        for (t, sums) in block.iter().enumerate() {
            // SAFETY: the caller upholds the contract.
            unsafe { out.row(first + t, row + b * SIDE, SIDE).copy_from_slice(sums) }
        }
    }
}
