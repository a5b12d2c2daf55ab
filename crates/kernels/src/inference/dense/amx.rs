//! bf16 weights on the tile unit.
//!
//! An f32 has 24 significant bits, a bf16 eight: an activation is exactly the sum of three bf16 numbers, and the
//! products of these with bf16 weights are exact in f32. So nothing is rounded but the sums. The weights are the left
//! operand, read where they lie; the activations are packed as the right one.

mod pack;
mod tiles;

use std::ops::Range;

use half::bf16;
use pack::Packed;
use rayon::prelude::*;
use tiles::Product;

use crate::{scatter::Scatter, transpose::transpose};

/// Rows of weights, or tokens, in a tile.
const SIDE: usize = 16;
/// Columns that one step multiplies.
const DEPTH: usize = 32;
/// bf16 numbers that make up an f32.
const PARTS: usize = 3;
/// Most rows whose sums stay in tiles: with the three parts of the activations and the weights that makes eight tiles.
const ROWS: usize = 4 * SIDE;
/// Rows that one task handles for all tokens; they stay in the second-level cache.
const TASK_ROWS: usize = 3 * ROWS;

/// # Safety
/// The tile unit must be present and nobody else may write `out`.
pub(super) unsafe fn matmul(x: &[f32], cols: usize, weights: &[bf16], out: Scatter<'_, f32>) {
    let (packed, rows) = (Packed::new(x, cols), weights.len() / cols);
    let scratch = || vec![bf16::ZERO; SIDE * packed.steps * DEPTH];
    (0..rows.div_ceil(TASK_ROWS)).into_par_iter().for_each_init(scratch, |scratch, task| {
        let range = task * TASK_ROWS..rows.min((task + 1) * TASK_ROWS);
        let mut task = Task { packed: &packed, weights, cols, scratch, out };
        for first in (0..packed.tokens).step_by(SIDE) {
            // SAFETY: every task writes its own rows.
            unsafe { task.group(first, range.clone()) }
        }
    });
}

struct Task<'a> {
    packed: &'a Packed,
    weights: &'a [bf16],
    cols: usize,
    /// 16 rows of whole steps.
    scratch: &'a mut [bf16],
    out: Scatter<'a, f32>,
}

impl Task<'_> {
    /// The tokens of the group that starts at `first` times some rows.
    ///
    /// # Safety
    /// As [`matmul`], for these rows.
    unsafe fn group(&mut self, first: usize, range: Range<usize>) {
        let tokens = SIDE.min(self.packed.tokens - first);
        // More streams than the prefetchers follow slow a single pass over the weights down.
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
            // SAFETY: the caller vouches for the unit and the rows.
            unsafe {
                match count {
                    ROWS => product.sum::<4>(&mut sums),
                    HALF => product.sum::<2>(&mut sums),
                    _ => product.sum::<1>(&mut sums),
                }
                put(&mut sums[..count], row, first, tokens, self.out);
            }
            row += count;
        }
    }
}

const HALF: usize = ROWS / 2;

/// Writes sums `[rows, 16]`, of which the first `tokens` columns count.
///
/// # Safety
/// No other thread may write these cells.
unsafe fn put(sums: &mut [[f32; SIDE]], row: usize, first: usize, tokens: usize, out: Scatter<'_, f32>) {
    if tokens < SIDE || sums.len() < SIDE {
        for (r, sums) in sums.iter().enumerate() {
            for (t, sum) in sums[..tokens].iter().enumerate() {
                // SAFETY: passed on.
                unsafe { out.put(first + t, row + r, *sum) }
            }
        }
        return;
    }
    for (b, block) in sums.as_chunks_mut::<SIDE>().0.iter_mut().enumerate() {
        // SAFETY: both are 256 words of four bytes, and any bits are valid in both.
        transpose(unsafe { &mut *(&raw mut *block).cast() });
        for (t, sums) in block.iter().enumerate() {
            // SAFETY: passed on.
            unsafe { out.row(first + t, row + b * SIDE, SIDE).copy_from_slice(sums) }
        }
    }
}
