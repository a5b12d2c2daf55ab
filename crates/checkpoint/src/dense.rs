//! The embedding and the output head, where they lie in the file.

use crate::{Result, Stored};

/// A matrix `[rows, cols]` of floats or of quantised blocks, not copied.
#[derive(Clone, Debug)]
pub struct Dense {
    stored: Stored,
    rows: usize,
    cols: usize,
}

/// More all-zero rows than this part of all are taken for a hole in the file.
pub(crate) const MAX_ZERO_ROWS: f64 = 0.01;

impl Dense {
    pub(crate) fn new(stored: Stored, rows: usize, cols: usize) -> Result<Dense> {
        stored.check_shape(&[rows, cols])?;
        if !(stored.coding.is_float() || stored.coding.is_blocks()) {
            return Err(stored.type_error("F32, F16, BF16, Q8_0 or Q6_K"));
        }
        Ok(Dense { stored, rows, cols })
    }

    /// How it is stored, and where.
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Number of rows: the vocabulary.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Width of a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Writes a row as f32.
    ///
    /// # Panics
    /// When there is no such row or `out` does not hold `cols` values.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() == self.cols, "a row of {}", self.cols);
        self.stored.read_f32(row * self.cols, out);
    }
}
