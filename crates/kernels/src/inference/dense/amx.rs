//! Products with bf16 weights on the AMX tile unit.
//!
//! An f32 has 24 significant bits and a bf16 has eight, so an activation is exactly the sum of three bf16
//! numbers, whose products with bf16 weights are exact in f32. Only the sums are rounded. The weights are the
//! left operand and are read in place; the activations are packed as the right operand.

mod pack;
mod tiles;

use std::ops::Range;

use half::bf16;
use pack::Packed;
use rayon::prelude::*;
use tiles::Product;

use crate::{scatter::Scatter, transpose::transpose};

/// Number of rows of weights, or of tokens, in a tile.
const SIDE: usize = 16;
/// Number of columns that one step multiplies.
const DEPTH: usize = 32;
/// Number of bf16 numbers into which an f32 is split.
const PARTS: usize = 3;
/// The largest number of rows whose sums stay in tiles. Their sums take four of the eight tiles. The three
/// parts of the activations, and the weights, take the other four.
const ROWS: usize = 4 * SIDE;
/// Number of rows in a task, which multiplies them by all tokens. These rows stay in the second-level cache.
const TASK_ROWS: usize = 3 * ROWS;

/// Writes `x [tokens, cols]` times the transpose of `weights [rows, cols]` to `out`.
///
/// # Safety
/// The machine must have the tile unit, and no one else may write `out`.
pub(super) unsafe fn matmul(x: &[f32], cols: usize, weights: &[bf16], out: Scatter<'_, f32>) {
    let (packed, rows) = (Packed::new(x, cols), weights.len() / cols);
    let scratch = || vec![bf16::ZERO; SIDE * packed.steps * DEPTH];
    (0..rows.div_ceil(TASK_ROWS)).into_par_iter().for_each_init(scratch, |scratch, task| {
        let range = task * TASK_ROWS..rows.min((task + 1) * TASK_ROWS);
        let mut task = Task { packed: &packed, weights, cols, scratch, out };
        for first in (0..packed.tokens).step_by(SIDE) {
            // SAFETY: every task writes only its own rows.
            unsafe { task.multiply_group(first, range.clone()) }
        }
    });
}

/// The operands of a task.
struct Task<'a> {
    packed: &'a Packed,
    weights: &'a [bf16],
    cols: usize,
    /// Buffer for 16 rows of weights, padded to whole steps.
    scratch: &'a mut [bf16],
    out: Scatter<'a, f32>,
}

impl Task<'_> {
    /// Multiplies the group of up to 16 tokens that starts at `first` by a range of rows.
    ///
    /// # Safety
    /// The machine must have the tile unit, and no one else may write these rows of the output.
    unsafe fn multiply_group(&mut self, first: usize, range: Range<usize>) {
        let tokens = SIDE.min(self.packed.tokens - first);
        // With few tokens, the weights are read only once. Such a pass is slower if it reads more rows at a
        // time than the prefetchers can follow.
        let most = if self.packed.tokens > SIDE { ROWS } else { ROWS / 2 };
        let mut sums = [[0.0; SIDE]; ROWS];
        let mut row = range.start;
        while row < range.end {
            let left = range.end - row;
            let whole = self.cols.is_multiple_of(DEPTH) && left >= SIDE;
            let count = if !whole {
                left.min(SIDE)
            } else if left < most {
                SIDE
            } else {
                most
            };
            let stored = &self.weights[row * self.cols..(row + count) * self.cols];
            let stride = if whole { self.cols } else { self.packed.steps * DEPTH };
            if !whole {
                let rows = self.scratch.chunks_exact_mut(stride).zip(stored.chunks_exact(self.cols));
                rows.for_each(|(to, from)| to[..self.cols].copy_from_slice(from));
            }
            let left = if whole { stored } else { &self.scratch[..] };
            let product = Product { left, stride, right: self.packed.group(first), tokens };
            // SAFETY: the caller guarantees the unit and the rows.
            unsafe {
                match count {
                    ROWS => product.sum::<4>(&mut sums),
                    HALF => product.sum::<2>(&mut sums),
                    _ => product.sum::<1>(&mut sums),
                }
                write_sums(&mut sums[..count], row, first, tokens, self.out);
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
