//! The embedding and the LM head, used in place from the mapped file.

use bitkv_checkpoint::{Coding, Dense as Stored, StoredTensor};
use bitkv_kernels::dense::{self, Arithmetic, Dense, Instructions, Int8, Product};

/// An embedding or an LM head.
pub(crate) struct Matrix {
    /// The weights, `[vocab, hidden]`.
    stored: Stored,
    arithmetic: Arithmetic,
}

impl Matrix {
    pub(crate) fn new(stored: Stored) -> Self {
        Matrix { stored, arithmetic: Arithmetic::F32 }
    }

    /// Sets the arithmetic of products with the matrix.
    pub(crate) fn set_arithmetic(&mut self, arithmetic: Arithmetic) {
        self.arithmetic = arithmetic;
    }

    /// Returns the instructions that multiply the matrix.
    pub(crate) fn instructions(&self) -> Instructions {
        let is_bf16 = matches!(plain_values(self.stored.stored()), Some(Dense::Bf16(_)));
        dense::instructions(self.arithmetic, is_bf16)
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
        let (rows, cols) = (self.stored.rows(), self.stored.cols());
        let mut out = vec![0.0; x.len() / cols * rows];
        self.with_weights(|weights| {
            dense::linear(x, cols, self.arithmetic, &mut [Product { weights, out: &mut out }]);
        });
        out
    }

    /// Returns the columns `rows` of the result of [`Matrix::multiply`], `[tokens, rows.len()]`,
    /// bit-identical to it. Only these rows of the matrix are read.
    pub(crate) fn multiply_rows(&self, x: &[f32], rows: &[u32]) -> Vec<f32> {
        self.with_weights(|weights| dense::matmul_rows(x, self.stored.cols(), self.arithmetic, weights, rows))
    }

    /// Calls `run` with the weights in a form that the kernels read.
    fn with_weights<T>(&self, run: impl FnOnce(Dense<'_>) -> T) -> T {
        let write = |row: usize, out: &mut [f32]| self.stored.row(row, out);
        let rows = Dense::Rows { rows: self.stored.rows(), write: &write };
        run(plain_values(self.stored.stored()).unwrap_or(rows))
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

/// Returns the values of a tensor in the mapped file; `None` if they are not floats, or not aligned in
/// memory.
pub(crate) fn plain_values(stored: &StoredTensor) -> Option<Dense<'_>> {
    let bytes = &stored.bytes[..];
    match stored.coding {
        Coding::F32 => bytemuck::try_cast_slice(bytes).map(Dense::F32).ok(),
        Coding::F16 => bytemuck::try_cast_slice(bytes).map(Dense::F16).ok(),
        Coding::Bf16 => bytemuck::try_cast_slice(bytes).map(Dense::Bf16).ok(),
        _ => None,
    }
}
