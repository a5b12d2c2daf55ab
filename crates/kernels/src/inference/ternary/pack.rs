//! Packs codes into the layout that the kernels read.

use bitkv_bytes::Pages;
use rayon::prelude::*;

use super::{GROUP, MAX_COLS, TILE, TILE_BYTES, Ternary};
use crate::simd::dispatch;

/// The position of a code that is not 0, 1 or 2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidCode {
    /// Index of the row.
    pub row: usize,
    /// Index of the column.
    pub column: usize,
}

impl Ternary {
    /// Packs a matrix. `codes(row, out)` writes the codes of a row to `out`: 0, 1 or 2, the weight plus one.
    ///
    /// Rows are requested in parallel and in any order, so the full matrix is never unpacked in memory.
    ///
    /// # Errors
    /// Returns an error if a code is above 2.
    ///
    /// # Panics
    /// Panics if the matrix is empty, if it has so many columns that a sum could overflow `i32` (more than
    /// 262,144), or if there is not enough memory.
    pub fn pack_codes(
        rows: usize,
        cols: usize,
        codes: impl Fn(usize, &mut [u8]) + Sync,
    ) -> Result<Self, InvalidCode> {
        assert!(rows > 0 && cols > 0, "a ternary matrix has rows and columns");
        assert!(cols <= MAX_COLS, "{cols} columns: sums are exact up to {MAX_COLS}");
        let (groups, tiles) = (rows.div_ceil(GROUP), cols.div_ceil(TILE));
        let mut packed =
            Pages::zeroed(groups * tiles * TILE_BYTES).expect("there is enough memory for the weights");
        // Padding has code 0, so its products are 0.
        let buffer = || vec![0u8; tiles * TILE];
        let pack_group = |row_codes: &mut Vec<u8>, (group, out): (usize, &mut [u8])| {
            for row in group * GROUP..rows.min((group + 1) * GROUP) {
                codes(row, &mut row_codes[..cols]);
                if !pack_row(row_codes, row % GROUP, out) {
                    let column = row_codes.iter().position(|code| *code > 2).unwrap_or_default();
                    return Some(InvalidCode { row, column });
                }
            }
            None
        };
        let by_group = packed.par_chunks_mut(tiles * TILE_BYTES).enumerate();
        match by_group.map_init(buffer, pack_group).find_first(Option::is_some).flatten() {
            Some(bad) => Err(bad),
            None => Ok(Ternary { rows, cols, packed }),
        }
    }
}

dispatch! {
/// Writes one row of a group. Returns false if a code is above 2.
fn pack_row(codes: &[u8], row: usize, out: &mut [u8]) -> bool {
    let mut largest = 0;
    for (out, codes) in out.chunks_exact_mut(64).zip(codes.chunks_exact(16)) {
        let mut bytes = [0; 4];
        for j in 0..4 {
            let four = [codes[j], codes[4 + j], codes[8 + j], codes[12 + j]];
            bytes[j] = four[0] | four[1] << 2 | four[2] << 4 | four[3] << 6;
            for code in four {
                largest = if code > largest { code } else { largest };
            }
        }
        out[row * 4..][..4].copy_from_slice(&bytes);
    }
    largest <= 2
}
}
