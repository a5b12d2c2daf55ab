//! Exact products of int8 activations with ternary weights.
//!
//! [`Ternary`] holds packed weights and [`Quantized`] holds activations. [`linear`] multiplies them and
//! scales the results for one or more layers ([`Product`]); [`sums`] returns the exact integers.
//!
//! A weight is stored as its code 0, 1 or 2, the weight plus one. Codes are the unsigned operand of
//! `vpmaddubsw`, `vpdpbusd` and `tdpbsud`, and activations are the signed operand. For `sdot` both operands
//! are signed, which does not change the value of a code. The sum of a token's activations is subtracted once
//! from each of its results.
//!
//! All instruction sets share one layout. Sixteen rows form a group, and 64 columns of a group form a tile of
//! 256 bytes, which is four vectors of 64 bytes. Byte `4 n + j` of vector `i` holds the codes of row `n` at
//! columns `16 i + j`, `+ 4`, `+ 8` and `+ 12`, lowest bits first. A mask and a shift decode sixteen rows of
//! four neighbouring columns: the operand that a 512-bit register multiplies by one broadcast of four
//! activations, and one row of the second operand of an AMX tile product. No sum crosses lanes, and a group
//! is read sequentially.

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
pub use quantized::{Quantized, QuantizedRow, quantize_activations};
pub(crate) use quantized::{absmax, magnitude_bits, to_int8};

use bitkv_bytes::Pages;

/// Number of rows in a group.
const GROUP: usize = 16;
/// Number of columns in a tile.
const TILE: usize = 64;
/// Number of packed bytes in a tile: 16 rows of 64 columns.
const TILE_BYTES: usize = GROUP * TILE / 4;
/// The largest number of columns for which no sum can overflow `i32`, not even a sum that is 64 times too
/// large because it is shifted only at the end.
const MAX_COLS: usize = 1 << 18;

/// A ternary matrix `[rows, cols]` with two bits per weight, padded to groups of 16 rows and tiles of 64
/// columns.
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
    /// Panics if `weights` does not hold `rows * cols` values, or if a value is not -1, 0 or 1.
    pub fn pack(rows: usize, cols: usize, weights: &[i8]) -> Self {
        assert_eq!(weights.len(), rows * cols, "weights are [rows, cols]");
        let codes = |row: usize, out: &mut [u8]| {
            let row = &weights[row * cols..][..cols];
            out.iter_mut().zip(row).for_each(|(code, w)| *code = w.wrapping_add(1) as u8);
        };
        Ternary::pack_codes(rows, cols, codes).unwrap_or_else(|bad| panic!("weights are -1, 0 or 1: {bad:?}"))
    }

    /// Returns the number of rows, which are output features.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of columns, which are input features.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Returns the number of bytes in memory, including padding.
    pub fn bytes(&self) -> usize {
        self.packed.len()
    }

    /// Returns a row of weights, each -1, 0 or 1.
    ///
    /// # Panics
    /// Panics if the row does not exist.
    pub fn row(&self, row: usize) -> Vec<i8> {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let group = self.group(row / GROUP);
        (0..self.cols).map(|col| code(group, row % GROUP, col) as i8 - 1).collect()
    }

    /// Returns the number of tiles in a group.
    fn tiles(&self) -> usize {
        self.cols.div_ceil(TILE)
    }

    /// Returns the number of groups.
    fn groups(&self) -> usize {
        self.rows.div_ceil(GROUP)
    }

    /// Returns the number of bytes in a group.
    fn group_bytes(&self) -> usize {
        self.tiles() * TILE_BYTES
    }

    /// Returns the packed bytes of a group.
    fn group(&self, group: usize) -> &[u8] {
        &self.packed[group * self.group_bytes()..][..self.group_bytes()]
    }
}

/// Returns the code of a row of a group at a column.
fn code(group: &[u8], row: usize, col: usize) -> u8 {
    let (vector, within) = (col / 16, col % 16);
    (group[vector * 64 + row * 4 + within % 4] >> (2 * (within / 4))) & 3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rayon::prelude::*;

    use super::*;
    use crate::Isa;

    /// Returns the given integers with a scale of 1.
    fn quantized(x: &[i8], cols: usize) -> Quantized {
        let mut quantized = Quantized::default();
        quantized.reset(x.len() / cols, cols);
        quantized.rows_mut().zip(x.par_chunks_exact(cols)).for_each(|(row, x)| {
            row.values.copy_from_slice(x);
            (*row.scale, *row.sum) = (1.0, x.iter().map(|v| i32::from(*v)).sum());
        });
        quantized
    }

    fn naive(x: &[i8], weights: &[i8], cols: usize) -> Vec<i32> {
        let dot = |x: &[i8], w: &[i8]| x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w)).sum();
        x.chunks(cols).flat_map(|x| weights.chunks(cols).map(move |w| dot(x, w))).collect()
    }

    fn check(tokens: usize, rows: usize, cols: usize, mut next: impl FnMut() -> u32) {
        let weights: Vec<i8> = (0..rows * cols).map(|_| (next() % 3) as i8 - 1).collect();
        let x: Vec<i8> = (0..tokens * cols).map(|_| next() as i8).collect();
        let packed = Ternary::pack(rows, cols, &weights);
        let expected = naive(&x, &weights, cols);
        let x = quantized(&x, cols);
        for isa in Isa::available() {
            let mut out = vec![7; tokens * rows];
            sums_with(*isa, &x, &packed, &mut out);
            assert_eq!(out, expected, "{isa} {tokens} x {rows} x {cols}");
        }
        let unpacked: Vec<i8> = (0..rows).flat_map(|r| packed.row(r)).collect();
        assert_eq!(unpacked, weights);
    }

    fn random(seed: u64) -> impl FnMut() -> u32 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as u32
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        for weight in [-1, 1] {
            for x in [i8::MIN, i8::MAX] {
                let cols = 7000;
                let packed = Ternary::pack(5, cols, &vec![weight; 5 * cols]);
                for (isa, tokens) in
                    Isa::available().iter().flat_map(|isa| [1, 3, 5, 17, 40].map(|t| (isa, t)))
                {
                    let mut out = vec![0; 5 * tokens];
                    sums_with(*isa, &quantized(&vec![x; tokens * cols], cols), &packed, &mut out);
                    let expected = i32::from(weight) * i32::from(x) * cols as i32;
                    assert!(out.iter().all(|sum| *sum == expected), "{isa} {tokens}");
                }
            }
        }
    }

    #[test]
    fn every_column_is_packed_separately() {
        for col in 0..600 {
            let mut weights = vec![0; 600];
            weights[col] = -1;
            let packed = Ternary::pack(1, 600, &weights);
            let x: Vec<i8> = (0..600).map(|c| (c % 127 + 1) as i8).collect();
            for isa in Isa::available() {
                let mut out = [0];
                sums_with(*isa, &quantized(&x, 600), &packed, &mut out);
                assert_eq!(out[0], -i32::from(x[col]), "{isa} column {col}");
            }
        }
    }

    #[test]
    fn large_shapes_match_plain_loops() {
        check(9, 1500, 1030, random(3));
        check(1, 3001, 1030, random(4));
        check(45, 300, 1030, random(5));
    }

    #[test]
    fn several_layers_at_once_use_their_own_scales() {
        let mut next = random(5);
        let (tokens, cols) = (3, 190);
        let x: Vec<f32> = (0..tokens * cols).map(|_| next() as f32 / (1u64 << 30) as f32 - 1.0).collect();
        let x = Quantized::new(&x, cols);
        let weights: Vec<Ternary> = [70, 1, 16]
            .iter()
            .map(|rows| {
                Ternary::pack(
                    *rows,
                    cols,
                    &(0..rows * cols).map(|_| (next() % 3) as i8 - 1).collect::<Vec<_>>(),
                )
            })
            .collect();
        for isa in Isa::available() {
            let mut outs: Vec<Vec<f32>> = weights.iter().map(|w| vec![9.0; tokens * w.rows()]).collect();
            let mut products: Vec<Product<'_>> = weights
                .iter()
                .zip(&mut outs)
                .map(|(weights, out)| Product { weights, scale: 0.37, out })
                .collect();
            linear_with(*isa, &x, &mut products);
            for (weights, out) in weights.iter().zip(&outs) {
                let mut exact = vec![0; out.len()];
                sums_with(Isa::Scalar, &x, weights, &mut exact);
                for (i, (out, sum)) in out.iter().zip(exact).enumerate() {
                    assert_eq!(*out, sum as f32 * (x.scales()[i / weights.rows()] * 0.37), "{isa} {i}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_shape_matches_plain_loops(tokens in 1usize..70, rows in 1usize..150, cols in 1usize..530, seed: u64) {
            check(tokens, rows, cols, random(seed));
        }
    }

    #[test]
    fn invalid_codes_are_found() {
        for (rows, cols, row, column) in [(1, 1, 0, 0), (5, 300, 3, 299), (40, 256, 39, 17)] {
            let codes = |r: usize, out: &mut [u8]| {
                out.fill(2);
                out[column] = if r == row { 3 } else { 0 };
            };
            assert_eq!(Ternary::pack_codes(rows, cols, codes), Err(InvalidCode { row, column }));
        }
    }
}
