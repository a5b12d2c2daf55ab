//! Counts the codes of every ternary matrix once, for all checks.

use bitkv_checkpoint::{Checkpoint, Error, Linear};
use rayon::prelude::*;

/// The largest fraction of zero blocks that a matrix of floats may have. Zeros among floats can be weights
/// that were too small for f16, but not as many as this.
const MAX_EMPTY_FLOATS: f64 = 0.01;

/// The size of a block in bytes. A zero byte encodes four weights of -1, and training never produces a whole
/// block of them.
const BLOCK: usize = 512;

/// A ternary matrix of the model.
pub(crate) struct Matrix {
    pub(crate) linear: Linear,
    /// How often each of the codes 0 to 3 occurs.
    pub(crate) counts: [u64; 4],
    /// The number of bytes in blocks that contain only zeros.
    pub(crate) empty_bytes: usize,
}

impl Matrix {
    fn new(linear: Linear) -> Matrix {
        let blocks = linear.bytes().par_chunks_exact(BLOCK);
        let empty_bytes = BLOCK * blocks.filter(|block| block.iter().all(|byte| *byte == 0)).count();
        Matrix { counts: linear.histogram(), linear, empty_bytes }
    }

    /// Returns the name of the tensor in its file.
    pub(crate) fn name(&self) -> &str {
        &self.linear.stored().name
    }

    /// Returns the number of codes.
    pub(crate) fn len(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns whether a part of the matrix is missing from the file.
    pub(crate) fn has_hole(&self) -> bool {
        let stored = self.linear.stored();
        let allowed = if stored.coding.is_ternary() { 0.0 } else { MAX_EMPTY_FLOATS };
        self.empty_bytes as f64 > allowed * stored.bytes.len() as f64
    }
}

/// Every ternary matrix that could be opened, and the errors of the others.
pub(crate) struct Codes {
    pub(crate) matrices: Vec<Matrix>,
    /// The names of the layers that could not be opened, and the reasons.
    pub(crate) refused: Vec<(String, Error)>,
    /// The number of linear layers in full precision.
    pub(crate) full_precision: usize,
}

impl Codes {
    pub(crate) fn new(checkpoint: &Checkpoint) -> Codes {
        let mut codes = Codes { matrices: Vec::new(), refused: Vec::new(), full_precision: 0 };
        for shape in checkpoint.config().all_linears() {
            match checkpoint.linear(&shape) {
                // The weights of a layer in full precision have no codes.
                Ok(linear) if !linear.is_ternary() => codes.full_precision += 1,
                Ok(linear) => codes.matrices.push(Matrix::new(linear)),
                Err(error) => codes.refused.push((shape.name, error)),
            }
        }
        codes
    }

    /// Returns the matrices without invalid codes and without holes. The others would distort statistics.
    pub(crate) fn undamaged(&self) -> Vec<&Matrix> {
        let is_undamaged = |matrix: &&Matrix| matrix.counts[3] == 0 && !matrix.has_hole();
        self.matrices.iter().filter(is_undamaged).collect()
    }

    /// Returns the matrix of a projection by its Hugging Face name without `.weight`; `None` if it could not
    /// be opened.
    pub(crate) fn named(&self, name: &str) -> Option<&Matrix> {
        self.matrices.iter().find(|matrix| matrix.linear.shape().name == name)
    }
}
