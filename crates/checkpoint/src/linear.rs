//! A linear layer's weights as ternary codes, independent of how they are stored.

use rayon::prelude::*;

use crate::{Bytes, Coding, Error, LinearShape, Result, StoredTensor, TernaryScale, codec};

/// The number of rows that one parallel task decodes.
const TASK_ROWS: usize = 64;

/// A ternary matrix `[rows, cols]` in a checkpoint: weight = (code - 1) * `multiplier`.
///
/// The matrix is not decoded in advance: each row is decoded when it is read.
#[derive(Debug)]
pub struct Linear {
    pub(crate) shape: LinearShape,
    pub(crate) multiplier: f32,
    pub(crate) stored: StoredTensor,
    /// The scale of the master weights if the codes are computed from master weights.
    pub(crate) master_scale: Option<TernaryScale>,
    /// The number of heads, if rows are stored with the two rotary halves of each head interleaved (the llama
    /// architecture in GGUF files).
    pub(crate) interleaved_heads: Option<usize>,
}

impl Linear {
    /// Returns the name, the output features and the input features.
    pub fn shape(&self) -> &LinearShape {
        &self.shape
    }

    /// Returns the `multiplier` in `weight = (code - 1) * multiplier`: about the mean magnitude of the master
    /// weights.
    pub fn multiplier(&self) -> f32 {
        self.multiplier
    }

    /// Returns the tensor that holds the weights.
    pub fn stored(&self) -> &StoredTensor {
        &self.stored
    }

    /// Returns whether the codes are computed from full-precision master weights.
    pub fn has_masters(&self) -> bool {
        self.master_scale.is_some()
    }

    /// Writes the codes of a row to `out`: 0, 1 or 2. If the file holds the invalid code 3, it is written as
    /// 3.
    ///
    /// # Panics
    /// Panics if there is no such row or `out` does not hold `cols` codes.
    pub fn codes(&self, row: usize, out: &mut [u8]) {
        let LinearShape { rows, cols, .. } = self.shape;
        assert!(row < rows && out.len() == cols, "a row of {cols} codes");
        let (data, row) = (&self.stored.bytes[..], self.stored_row(row));
        match (&self.stored.coding, self.master_scale) {
            (Coding::PackedU8, _) => codec::packed_u8::decode_row(data, rows, row, out),
            (Coding::Ternary(codec), _) => (codec.decode_row)(data, row, out),
            (_, Some(scale)) => {
                let mut values = vec![0.0; cols];
                self.stored.read_f32(row * cols, &mut values);
                out.iter_mut().zip(&values).for_each(|(code, w)| *code = (scale.code(*w) + 1) as u8);
            }
            (other, None) => unreachable!("{} is refused when a layer is opened", other.name()),
        }
    }

    /// Writes a row as floats: the master weights if there are any, otherwise the codes minus one times the
    /// multiplier.
    ///
    /// # Panics
    /// Panics as [`Linear::codes`] does.
    pub fn floats(&self, row: usize, out: &mut [f32]) {
        if let Some(scale) = self.master_scale {
            self.stored.read_f32(self.stored_row(row) * self.shape.cols, out);
            // GGUF files can hold a separate scale for float weights.
            if self.multiplier != scale.multiplier {
                out.iter_mut().for_each(|w| *w *= self.multiplier / scale.multiplier);
            }
            return;
        }
        let mut codes = vec![0; out.len()];
        self.codes(row, &mut codes);
        out.iter_mut().zip(codes).for_each(|(w, code)| *w = f32::from(code as i8 - 1) * self.multiplier);
    }

    /// Returns how often each of the four codes occurs.
    pub fn histogram(&self) -> [u64; 4] {
        let LinearShape { rows, cols, .. } = self.shape;
        let part = |first: usize| {
            let (mut counts, mut codes) = ([0u64; 4], vec![0; cols]);
            for row in first..rows.min(first + TASK_ROWS) {
                self.codes(row, &mut codes);
                let count = |code: u8| codes.iter().map(|c| u64::from(*c == code)).sum::<u64>();
                (0..4).for_each(|code| counts[usize::from(code)] += count(code));
            }
            counts
        };
        let firsts: Vec<usize> = (0..rows).step_by(TASK_ROWS).collect();
        let sum = |a: [u64; 4], b: [u64; 4]| [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]];
        firsts.into_par_iter().map(part).reduce(|| [0; 4], sum)
    }

    /// Returns the error for code 3 in a row and column.
    pub fn invalid_code(&self, row: usize, column: usize) -> Error {
        let (file, tensor) = (self.stored.file.clone(), self.stored.name.clone());
        Error::InvalidCode { file, tensor, row: self.stored_row(row), column }
    }

    /// Returns the bytes of the weights. A caller that no longer needs them can [release](Bytes::release)
    /// them.
    pub fn bytes(&self) -> &Bytes {
        &self.stored.bytes
    }

    /// Returns the index in the file of a row of the layer.
    fn stored_row(&self, row: usize) -> usize {
        let Some(heads) = self.interleaved_heads else { return row };
        let width = self.shape.rows / heads;
        let (head, within) = (row / width, row % width);
        head * width + 2 * (within % (width / 2)) + within / (width / 2)
    }

    /// Returns the layer of full-precision master weights `[rows, cols]`.
    ///
    /// # Errors
    /// Returns an error if the tensor has another shape or holds values that are not finite.
    pub(crate) fn from_masters(shape: &LinearShape, stored: StoredTensor) -> Result<Linear> {
        stored.check_shape(&[shape.rows, shape.cols])?;
        stored.check_finite()?;
        let scale = TernaryScale::from_stored(&stored);
        Ok(Linear {
            shape: shape.clone(),
            multiplier: scale.multiplier,
            stored,
            master_scale: Some(scale),
            interleaved_heads: None,
        })
    }
}
