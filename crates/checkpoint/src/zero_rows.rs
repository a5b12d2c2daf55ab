//! Distinguishes holes in an embedding from the padding of a vocabulary.
//!
//! A vocabulary that is padded to a round size has rows of zeros at its end, which belong to no token. A
//! truncated or sparse download has zeros anywhere: among the rows of tokens, or from the middle of a row to
//! the end.

use rayon::prelude::*;

/// A larger fraction of zero rows among the rows before the padding shows a hole.
const MAX_HOLES: f64 = 0.01;
/// A larger fraction of zero rows at the end is not padding.
const MAX_PADDING: f64 = 0.5;
/// The fraction of the last row before the padding that must not be zero. A hole rarely begins at the start
/// of a row.
const ROW_END: usize = 8;

/// The rows of a matrix that contain only zeros.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ZeroRows {
    /// The number of rows.
    pub rows: usize,
    /// The number of rows that contain only zeros.
    pub zero: usize,
    /// The number of those at the end of the matrix, after the last row with another value.
    pub trailing: usize,
    /// Whether the last row with another value ends in zeros.
    breaks_off: bool,
}

impl ZeroRows {
    /// Adds the next rows, each of `row` bytes.
    pub(crate) fn add(&mut self, bytes: &[u8], row: usize) {
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        let zeros: Vec<bool> = bytes.par_chunks_exact(row).map(is_zero).collect();
        self.rows += zeros.len();
        self.zero += zeros.iter().filter(|zero| **zero).count();
        let trailing = zeros.iter().rev().take_while(|zero| **zero).count();
        if trailing == zeros.len() {
            self.trailing += trailing;
            return;
        }
        self.trailing = trailing;
        let end = (zeros.len() - trailing) * row;
        self.breaks_off = is_zero(&bytes[end - row.div_ceil(ROW_END)..end]);
    }

    /// Returns whether the zeros are too many, or at the wrong places, for the padding of a vocabulary.
    pub fn are_damage(&self) -> bool {
        let more = |zeros: usize, fraction: f64, rows: usize| zeros as f64 > fraction * rows as f64;
        let used = self.rows - self.trailing;
        let no_padding = self.breaks_off || more(self.trailing, MAX_PADDING, self.rows);
        more(self.zero - self.trailing, MAX_HOLES, used)
            || more(self.trailing, MAX_HOLES, self.rows) && no_padding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: usize = 16;

    /// Returns the zero rows of a matrix of 100 rows whose bytes `zero` selects are zero, read in two parts.
    fn zero_rows(zero: impl Fn(usize) -> bool) -> ZeroRows {
        let bytes: Vec<u8> = (0..100 * ROW).map(|i| u8::from(!zero(i))).collect();
        [10, 60, 95]
            .map(|split| {
                let mut rows = ZeroRows::default();
                rows.add(&bytes[..split * ROW], ROW);
                rows.add(&bytes[split * ROW..], ROW);
                rows
            })
            .into_iter()
            .reduce(|a, b| {
                assert_eq!(a, b, "the parts do not matter");
                a
            })
            .unwrap()
    }

    #[test]
    fn padding_is_not_damage() {
        for padding in [0, 1, 6, 50] {
            let rows = zero_rows(|i| i / ROW >= 100 - padding);
            assert_eq!((rows.zero, rows.trailing), (padding, padding));
            assert!(!rows.are_damage(), "{padding}");
        }
        // One hole among a hundred rows can be an unused token.
        assert!(!zero_rows(|i| i / ROW == 7).are_damage());
    }

    #[test]
    fn holes_are_damage() {
        // The end is missing from the middle of a row on.
        assert!(zero_rows(|i| i >= 90 * ROW + 5).are_damage());
        // Most is missing.
        assert!(zero_rows(|i| i / ROW >= 49).are_damage());
        assert!(zero_rows(|_| true).are_damage());
        // Rows of tokens are missing, with and without padding.
        assert!(zero_rows(|i| [7, 8].contains(&(i / ROW))).are_damage());
        assert!(zero_rows(|i| [7, 8].contains(&(i / ROW)) || i / ROW >= 80).are_damage());
        // The start is missing.
        assert!(zero_rows(|i| i < 30 * ROW).are_damage());
    }
}
