//! Codes to the layout that the kernels read.

use rayon::prelude::*;

use super::{BLOCK, Ternary};
use crate::simd::dispatch;

/// Rows that one task packs.
const TASK_ROWS: usize = 16;

/// A code that no weight has, and where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidCode {
    /// Row of the matrix.
    pub row: usize,
    /// Column of the matrix.
    pub column: usize,
}

impl Ternary {
    /// Packs a matrix of which `codes(row, out)` writes the rows as codes 0, 1 and 2, the weight plus one. Rows are asked
    /// for in parallel and in any order, so that no full matrix is ever expanded.
    ///
    /// # Errors
    /// When a code is above 2.
    ///
    /// # Panics
    /// When the matrix is empty.
    pub fn pack_codes(
        rows: usize,
        cols: usize,
        codes: impl Fn(usize, &mut [u8]) + Sync,
    ) -> Result<Self, InvalidCode> {
        assert!(rows > 0 && cols > 0, "a ternary matrix has rows and columns");
        let stride = cols.next_multiple_of(BLOCK);
        let mut packed = vec![0u8; rows * stride / 4];
        // The padding stays weight 0.
        let buffer = || vec![1u8; stride];
        let bad = packed
            .par_chunks_mut(TASK_ROWS * stride / 4)
            .enumerate()
            .map_init(buffer, |row_codes, (task, out)| {
                for (i, out) in out.chunks_exact_mut(stride / 4).enumerate() {
                    let row = task * TASK_ROWS + i;
                    codes(row, &mut row_codes[..cols]);
                    if !pack_row(row_codes, out) {
                        let column = row_codes.iter().position(|code| *code > 2).unwrap_or_default();
                        return Some(InvalidCode { row, column });
                    }
                }
                None
            })
            .find_first(Option::is_some);
        match bad.flatten() {
            Some(bad) => Err(bad),
            None => Ok(Ternary { rows, cols, packed }),
        }
    }
}

dispatch! {
/// Packs whole blocks; false when a code is above 2.
fn pack_row(codes: &[u8], out: &mut [u8]) -> bool {
    let mut invalid = 0;
    for (out, codes) in out.chunks_exact_mut(BLOCK / 4).zip(codes.chunks_exact(BLOCK)) {
        let (a, rest) = codes.split_at(BLOCK / 4);
        let (b, rest) = rest.split_at(BLOCK / 4);
        let (c, d) = rest.split_at(BLOCK / 4);
        for i in 0..out.len() {
            out[i] = a[i] | b[i] << 2 | c[i] << 4 | d[i] << 6;
            let over = |code: u8| u8::from(code > 2);
            invalid |= over(a[i]) | over(b[i]) | over(c[i]) | over(d[i]);
        }
    }
    invalid == 0
}
}
