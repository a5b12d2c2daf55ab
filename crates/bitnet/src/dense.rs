//! The embedding and the LM head, used in place from the mapped file.

use bitkv_checkpoint::{Coding, Dense as Stored};
use bitkv_kernels::dense::{self, Dense, Int8};

/// An embedding or an LM head.
pub(crate) struct Matrix {
    /// The weights, `[vocab, hidden]`.
    stored: Stored,
}

impl Matrix {
    pub(crate) fn new(stored: Stored) -> Self {
        Matrix { stored }
    }

    /// Returns the row of each token, `[tokens, hidden]`.
    pub(crate) fn gather_rows(&self, tokens: &[u32]) -> Vec<f32> {
        let cols = self.stored.cols();
        let mut out = vec![0.0; tokens.len() * cols];
        for (out, token) in out.chunks_exact_mut(cols).zip(tokens) {
            self.stored.row(*token as usize, out);
        }
        out
    }

    /// Returns `x [tokens, hidden]` times the transpose of the matrix, `[tokens, vocab]`.
    pub(crate) fn multiply(&self, x: &[f32]) -> Vec<f32> {
        self.with_weights(|weights| dense::matmul(x, self.stored.cols(), weights))
    }

    /// Returns the columns `rows` of the result of [`Matrix::multiply`], `[tokens, rows.len()]`,
    /// bit-identical to it. Only these rows of the matrix are read.
    pub(crate) fn multiply_rows(&self, x: &[f32], rows: &[u32]) -> Vec<f32> {
        self.with_weights(|weights| dense::matmul_rows(x, self.stored.cols(), weights, rows))
    }

    /// Calls `run` with the weights in a form that the kernels read.
    fn with_weights<T>(&self, run: impl FnOnce(Dense<'_>) -> T) -> T {
        let bytes = &self.stored.stored().bytes[..];
        let write = |row: usize, out: &mut [f32]| self.stored.row(row, out);
        let rows = Dense::Rows { rows: self.stored.rows(), write: &write };
        // If the floats of the file are not aligned in memory, they are read one by one.
        let floats = match self.stored.stored().coding {
            Coding::F32 => bytemuck::try_cast_slice(bytes).map(Dense::F32),
            Coding::F16 => bytemuck::try_cast_slice(bytes).map(Dense::F16),
            Coding::Bf16 => bytemuck::try_cast_slice(bytes).map(Dense::Bf16),
            _ => Ok(rows),
        };
        run(floats.unwrap_or(rows))
    }

    /// Returns a copy of the matrix, rounded to int8.
    pub(crate) fn int8(&self) -> std::io::Result<Int8> {
        Int8::quantise(self.row_count(), self.stored.cols(), |row, out| self.stored.row(row, out))
    }

    /// The number of rows, which is the size of the vocabulary.
    pub(crate) fn row_count(&self) -> usize {
        self.stored.rows()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.stored.stored().bytes.len()
    }
}
