//! Exact products of int8 activations with ternary weights.
//!
//! Codes 0, 1 and 2 (the weight plus one) are the unsigned operand of `vpmaddubsw`, `vpdpbusd`, `tdpbsud` and `sdot`,
//! activations the signed one; a token's sum of activations comes off each of its results once.
//!
//! One layout serves all of them. Sixteen rows are a group, 64 columns of a group a tile of 256 bytes. Vector `i` of
//! the four in a tile holds at byte `4 n + j` the codes of row `n` at columns `16 i + j`, `+ 4`, `+ 8` and `+ 12`, lowest
//! bits first: a mask and a shift give sixteen rows of four neighbouring columns, which is what a 512-bit register
//! multiplies by one broadcast of four activations, and a row of a tile's second operand. No sum ever crosses lanes, and a
//! group is read from front to back.

mod engine;
mod pack;
mod portable;
mod product;
mod quantized;

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

pub use pack::InvalidCode;
pub use product::{Product, linear, linear_with, sums, sums_with};
pub(crate) use quantized::to_int8;
pub use quantized::{Quantized, QuantizedRow, quantize_activations};

use bitkv_bytes::Pages;

/// Rows of a group.
const GROUP: usize = 16;
/// Columns of a tile.
const TILE: usize = 64;
/// Packed bytes of a tile: 16 rows of 64 columns.
const TILE_BYTES: usize = GROUP * TILE / 4;
/// The most columns for which no sum can leave `i32`, kept before its shift by six bits.
const MAX_COLS: usize = 1 << 18;

/// A ternary matrix `[rows, cols]`, two bits a weight, padded to groups of 16 rows and tiles of 64 columns.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ternary {
    rows: usize,
    cols: usize,
    packed: Pages,
}

impl Ternary {
    /// Packs row-major weights, each -1, 0 or 1.
    ///
    /// # Panics
    /// When `weights` does not hold `rows * cols` values or holds another number.
    pub fn pack(rows: usize, cols: usize, weights: &[i8]) -> Self {
        assert_eq!(weights.len(), rows * cols, "weights are [rows, cols]");
        let codes = |row: usize, out: &mut [u8]| {
            let row = &weights[row * cols..][..cols];
            out.iter_mut().zip(row).for_each(|(code, w)| *code = w.wrapping_add(1) as u8);
        };
        Ternary::pack_codes(rows, cols, codes).unwrap_or_else(|bad| panic!("weights are -1, 0 or 1: {bad:?}"))
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Input features.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes held, padding included.
    pub fn bytes(&self) -> usize {
        self.packed.len()
    }

    /// One row as -1, 0 and 1.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> Vec<i8> {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let group = self.group(row / GROUP);
        (0..self.cols).map(|col| code(group, row % GROUP, col) as i8 - 1).collect()
    }

    /// Tiles of a group.
    fn tiles(&self) -> usize {
        self.cols.div_ceil(TILE)
    }

    /// Groups of rows.
    fn groups(&self) -> usize {
        self.rows.div_ceil(GROUP)
    }

    fn group_bytes(&self) -> usize {
        self.tiles() * TILE_BYTES
    }

    fn group(&self, group: usize) -> &[u8] {
        &self.packed[group * self.group_bytes()..][..self.group_bytes()]
    }
}

/// The code of a group's row at a column.
fn code(group: &[u8], row: usize, col: usize) -> u8 {
    let (vector, within) = (col / 16, col % 16);
    (group[vector * 64 + row * 4 + within % 4] >> (2 * (within / 4))) & 3
}

#[cfg(test)]
mod tests;
