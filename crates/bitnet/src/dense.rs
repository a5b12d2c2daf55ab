//! The embedding and the output head, read where they lie in the file.

use bitkv_checkpoint::{Coding, Dense as Stored};
use bitkv_kernels::dense::{self, Dense};

pub(crate) struct Matrix {
    /// `[vocab, hidden]`.
    stored: Stored,
}

impl Matrix {
    pub(crate) fn new(stored: Stored) -> Self {
        Matrix { stored }
    }

    /// The rows of these tokens, `[tokens, hidden]`.
    pub(crate) fn rows(&self, tokens: &[u32]) -> Vec<f32> {
        let cols = self.stored.cols();
        let mut out = vec![0.0; tokens.len() * cols];
        for (out, token) in out.chunks_exact_mut(cols).zip(tokens) {
            self.stored.row(*token as usize, out);
        }
        out
    }

    /// `x [tokens, hidden]` times the transpose: `[tokens, vocab]`.
    pub(crate) fn multiply(&self, x: &[f32]) -> Vec<f32> {
        let (bytes, cols) = (&self.stored.stored().bytes[..], self.stored.cols());
        let write = |row: usize, out: &mut [f32]| self.stored.row(row, out);
        let rows = Dense::Rows { rows: self.stored.rows(), write: &write };
        // A file may place floats where they are not aligned; then they are read one by one.
        let floats = match self.stored.stored().coding {
            Coding::F32 => bytemuck::try_cast_slice(bytes).map(Dense::F32),
            Coding::F16 => bytemuck::try_cast_slice(bytes).map(Dense::F16),
            Coding::Bf16 => bytemuck::try_cast_slice(bytes).map(Dense::Bf16),
            _ => Ok(rows),
        };
        dense::matmul(x, cols, floats.unwrap_or(rows))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.stored.stored().bytes.len()
    }
}
