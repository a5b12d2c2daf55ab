//! Products of bf16 numbers with f32 sums, on the AMX tile unit or with the dot products of AVX-512 BF16.
//!
//! The weights are the left operand. The activations are packed as the right operand, in one or three parts:
//!
//! - Three parts are exact. An f32 has 24 significant bits and a bf16 has eight, so an activation is exactly
//!   the sum of three bf16 numbers, whose products with bf16 weights are exact in f32. Only the sums are
//!   rounded. Only the tile unit multiplies three parts: dot products would take longer than products in f32.
//! - With one part, activations and weights are rounded to bf16. This takes a third of the time.
//!
//! Weights in bf16 are read in place. Others are rounded row by row, each task its own rows.

mod dots;
mod pack;
mod tiles;

use std::ops::Range;

use half::bf16;
use pack::Packed;
use tiles::Product;

use super::{Arithmetic, Dense, fma};
use crate::{Isa, Level, scatter::Scatter, transpose::transpose};

/// Number of rows of weights, or of tokens, in a tile.
const SIDE: usize = 16;
/// Number of columns that one step multiplies.
const DEPTH: usize = 32;
/// The largest number of rows whose sums stay in tiles. Their sums take four of the eight tiles. The parts of
/// the activations, and the weights, take the other four.
const ROWS: usize = 4 * SIDE;

/// The instructions that multiply bf16 numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unit {
    /// `vdpbf16ps` of AVX-512 BF16.
    Dots,
    /// `tdpbf16ps` of AMX.
    Tiles,
}

impl Unit {
    /// Returns the unit that multiplies weights with an available instruction set in an arithmetic. `is_bf16`
    /// says whether the weights are stored as bf16. `None` means that vectors of f32 multiply them.
    pub(super) fn choose(isa: Isa, arithmetic: Arithmetic, is_bf16: bool) -> Option<Unit> {
        match (isa, arithmetic) {
            (Isa::Amx, Arithmetic::Bf16) => Some(Unit::Tiles),
            (Isa::Amx, Arithmetic::F32) => is_bf16.then_some(Unit::Tiles),
            (Isa::Avx512, Arithmetic::Bf16) => {
                crate::extension::Extension::Bf16.works().then_some(Unit::Dots)
            }
            _ => None,
        }
    }
}

/// The packed activations of a product, which all tasks share.
pub(super) struct Job<const PARTS: usize> {
    unit: Unit,
    packed: Packed<PARTS>,
    cols: usize,
}

impl<const PARTS: usize> Job<PARTS> {
    /// # Safety
    /// The machine must have the unit.
    pub(super) unsafe fn new(unit: Unit, x: &[f32], cols: usize) -> Self {
        assert!(PARTS == 1 || unit == Unit::Tiles, "dot products multiply one part");
        // SAFETY: both units belong to machines with AVX-512 F, BW and BF16.
        Job { unit, packed: unsafe { Packed::new(x, cols) }, cols }
    }

    /// Returns the number of rows in a task, which multiplies them by all tokens. These rows stay in the
    /// second-level cache. Linear layers have fewer rows than an LM head, so their tasks are smaller.
    pub(super) fn task_rows(&self) -> usize {
        match self.unit {
            Unit::Dots => dots::TASK_ROWS,
            Unit::Tiles if PARTS == 1 => ROWS,
            Unit::Tiles => 3 * ROWS,
        }
    }

    /// Multiplies all tokens by a range of rows. `scratch` is a buffer that only products with the same
    /// number of columns share.
    ///
    /// # Safety
    /// The machine must have the unit, and no one else may write these rows of `out`.
    pub(super) unsafe fn multiply(
        &self,
        weights: Dense<'_>,
        range: Range<usize>,
        scratch: &mut Vec<bf16>,
        out: Scatter<'_, f32>,
    ) {
        let stride = self.packed.steps * DEPTH;
        let rows = match weights {
            Dense::Bf16(weights) if self.cols == stride => &weights[range.start * stride..range.end * stride],
            _ => {
                // SAFETY: the caller upholds the contract.
                unsafe { self.round_rows(weights, range.clone(), scratch) }
                &scratch[..]
            }
        };
        let task = Task { packed: &self.packed, rows, stride, range, out };
        // SAFETY: the caller upholds the contract; a job for dot products has one part.
        unsafe {
            match self.unit {
                Unit::Dots => task.multiply_by_dots(),
                Unit::Tiles => task.multiply_by_tiles(),
            }
        }
    }

    /// Writes a range of rows to `scratch`, rounded to bf16. Each row is padded with zeros to whole steps,
    /// and the last rows with unspecified numbers to a whole tile.
    ///
    /// # Safety
    /// The machine must have the unit.
    unsafe fn round_rows(&self, weights: Dense<'_>, range: Range<usize>, scratch: &mut Vec<bf16>) {
        let stride = self.packed.steps * DEPTH;
        // The padding of a row is zero from the start, because all rows in a buffer have the same stride.
        scratch.resize(range.len().next_multiple_of(SIDE) * stride, bf16::ZERO);
        let mut row = vec![0.0; self.cols.next_multiple_of(crate::lanes::LANES)];
        for (index, to) in range.zip(scratch.chunks_exact_mut(stride)) {
            // SAFETY: the machine has the unit, and with it AVX-512.
            unsafe {
                fma::read_row(Level::Avx512, weights, self.cols, index, &mut row);
                pack::round_all(&row[..self.cols], to);
            }
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
    /// Multiplies all tokens by the rows of the task, in groups of up to 16 tokens.
    ///
    /// # Safety
    /// The machine must have the tile unit, and no one else may write these rows of the output.
    unsafe fn multiply_by_tiles(&self) {
        for first in (0..self.packed.tokens).step_by(SIDE) {
            // SAFETY: the caller upholds the contract.
            unsafe { self.multiply_group(first) }
        }
    }

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
    for (first_row, sums) in (row..).step_by(SIDE).zip(sums.chunks_mut(SIDE)) {
        match <&mut [[f32; SIDE]; SIDE]>::try_from(&mut *sums) {
            Ok(block) if tokens == SIDE => {
                // SAFETY: both types are 256 words of four bytes, and any bits are valid in both.
                transpose(unsafe { &mut *(&raw mut *block).cast() });
                for (t, sums) in block.iter().enumerate() {
                    // SAFETY: the caller upholds the contract.
                    unsafe { out.row(first + t, first_row, SIDE).copy_from_slice(sums) }
                }
            }
            _ => {
                for (row, sums) in (first_row..).zip(sums) {
                    for (t, sum) in sums[..tokens].iter().enumerate() {
                        // SAFETY: the caller upholds the contract.
                        unsafe { out.put(first + t, row, *sum) }
                    }
                }
            }
        }
    }
}
