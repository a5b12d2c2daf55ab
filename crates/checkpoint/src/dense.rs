//! The embedding and the LM head, which are used in place in the mapped file.

use std::ops::Range;

use crate::{Error, Result, StoredTensor, ZeroRows};

/// A matrix `[rows, cols]` of floats or of quantised blocks, which is not copied.
#[derive(Clone, Debug)]
pub struct Dense {
    stored: StoredTensor,
    rows: usize,
    cols: usize,
}

/// The number of bytes that are checked before their pages are released.
const SLAB: usize = 32 << 20;

/// What to do with mapped pages after they are checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PagesAfterCheck {
    /// Keep them, because they are needed again.
    Keep,
    /// Release them, because this is the only pass.
    Release,
}

impl Dense {
    /// Wraps a tensor as a matrix `[rows, cols]`.
    ///
    /// # Errors
    /// Returns an error if the tensor has another shape, or a type other than floats and blocks.
    pub(crate) fn new(stored: StoredTensor, rows: usize, cols: usize) -> Result<Dense> {
        stored.check_shape(&[rows, cols])?;
        if !(stored.coding.is_float() || stored.coding.is_blocks()) {
            return Err(stored.type_error("F32, F16, BF16, Q8_0, Q4_0 to Q5_1 or Q2_K to Q6_K"));
        }
        Ok(Dense { stored, rows, cols })
    }

    /// Copies the matrix to large pages, which are read faster than a mapped file. This pays off if the whole
    /// matrix is read for every token.
    #[must_use]
    pub fn in_large_pages(self) -> Dense {
        let Dense { stored, rows, cols } = self;
        Dense { stored: StoredTensor { bytes: stored.bytes.in_large_pages(), ..stored }, rows, cols }
    }

    /// Returns the tensor that holds the matrix.
    pub fn stored(&self) -> &StoredTensor {
        &self.stored
    }

    /// Returns the number of rows, which is the size of the vocabulary.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the width of a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Checks the values.
    ///
    /// # Errors
    /// Returns an error if a value is not finite, or if rows of zeros show a hole.
    pub(crate) fn check(&self, pages: PagesAfterCheck) -> Result<()> {
        let mut zero = ZeroRows::default();
        for rows in self.slabs(SLAB) {
            let slab = self.slab(rows.clone());
            zero.add(&slab.bytes, (slab.bytes.len() / rows.len()).max(1));
            if let Some(index) = slab.first_not_finite() {
                let mut value = [0.0; 256];
                // The values of a block must be read together.
                let count = if slab.coding.is_float() { 1 } else { value.len().min(slab.len() - index) };
                slab.read_f32(index, &mut value[..count]);
                let value = value[..count].iter().copied().find(|v| !v.is_finite()).unwrap_or(f32::NAN);
                let (file, tensor) = (slab.file, slab.name);
                return Err(Error::NotFinite { file, tensor, index: rows.start * self.cols + index, value });
            }
            if pages == PagesAfterCheck::Release {
                slab.bytes.release();
            }
        }
        if zero.are_damage() {
            let (file, tensor) = (self.stored.file.clone(), self.stored.name.clone());
            return Err(Error::ZeroRows { file, tensor, zero: zero.zero, rows: self.rows });
        }
        Ok(())
    }

    /// Returns the number of rows at the end that contain only zeros.
    pub fn trailing_zero_rows(&self) -> usize {
        let row = (self.stored.bytes.len() / self.rows).max(1);
        let is_zero = |bytes: &&[u8]| bytes.iter().all(|byte| *byte == 0);
        self.stored.bytes.rchunks_exact(row).take_while(is_zero).count()
    }

    /// Returns ranges of rows that take about `bytes` bytes each.
    pub(crate) fn slabs(&self, bytes: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let (all, row) = (self.rows, (self.stored.bytes.len() / self.rows).max(1));
        let rows = (bytes / row).max(1);
        (0..all).step_by(rows).map(move |first| first..all.min(first + rows))
    }

    /// Returns a range of the rows as a tensor.
    pub(crate) fn slab(&self, rows: Range<usize>) -> StoredTensor {
        let row = self.stored.bytes.len() / self.rows;
        StoredTensor {
            shape: vec![rows.len(), self.cols],
            bytes: self.stored.bytes.part(rows.start * row..rows.end * row),
            ..self.stored.clone()
        }
    }

    /// Writes a row as f32.
    ///
    /// # Panics
    /// Panics if there is no such row or `out` does not hold `cols` values.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() == self.cols, "a row of {}", self.cols);
        self.stored.read_f32(row * self.cols, out);
    }
}
