//! The codes of every ternary matrix, counted once for all checks.

use bitkv_checkpoint::{Checkpoint, Error, Linear};
use rayon::prelude::*;

/// Zeros among floats can be weights that an f16 could not hold; more than this part of a matrix cannot.
const MAX_EMPTY_FLOATS: f64 = 0.01;

/// Bytes looked at together. Ternary bytes that are zero stand for four -1: this many in a row never come of training.
const BLOCK: usize = 512;

/// A ternary matrix of the model.
pub(crate) struct Matrix {
    pub(crate) linear: Linear,
    /// How often each code occurs.
    pub(crate) counts: [u64; 4],
    /// Bytes in blocks of nothing but zeros.
    pub(crate) empty_bytes: usize,
}

impl Matrix {
    fn new(linear: Linear) -> Matrix {
        let blocks = linear.bytes().par_chunks_exact(BLOCK);
        let empty_bytes = BLOCK * blocks.filter(|block| block.iter().all(|byte| *byte == 0)).count();
        Matrix { counts: linear.histogram(), linear, empty_bytes }
    }

    /// The tensor's name in its file.
    pub(crate) fn name(&self) -> &str {
        &self.linear.stored().name
    }

    /// Number of codes.
    pub(crate) fn len(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether a part of the matrix is missing.
    pub(crate) fn has_hole(&self) -> bool {
        let stored = self.linear.stored();
        let allowed = if stored.coding.is_ternary() { 0.0 } else { MAX_EMPTY_FLOATS };
        self.empty_bytes as f64 > allowed * stored.bytes.len() as f64
    }
}

/// Every ternary matrix that could be opened, and why others could not.
pub(crate) struct Codes {
    pub(crate) matrices: Vec<Matrix>,
    pub(crate) refused: Vec<Error>,
}

impl Codes {
    pub(crate) fn new(checkpoint: &Checkpoint) -> Codes {
        let mut codes = Codes { matrices: Vec::new(), refused: Vec::new() };
        for shape in checkpoint.config().all_linears() {
            match checkpoint.linear(&shape) {
                Ok(linear) => codes.matrices.push(Matrix::new(linear)),
                Err(error) => codes.refused.push(error),
            }
        }
        codes
    }

    /// Those without invalid codes and holes: the others would mislead statistics.
    pub(crate) fn sound(&self) -> Vec<&Matrix> {
        let whole = |matrix: &&Matrix| matrix.counts[3] == 0 && !matrix.has_hole();
        self.matrices.iter().filter(whole).collect()
    }

    /// The matrix of a layer's projection, by its Hugging Face name without `.weight`.
    pub(crate) fn named(&self, name: &str) -> Option<&Matrix> {
        self.matrices.iter().find(|matrix| matrix.linear.shape().name == name)
    }
}
