//! A linear layer's weights as ternary codes, independent of how they are stored.

use rayon::prelude::*;

use crate::{Bytes, Coding, Error, LinearShape, Result, StoredTensor, TernaryScale, codec};

/// The number of rows that one parallel task decodes.
const TASK_ROWS: usize = 64;

/// The weights of a linear layer, `[rows, cols]`, in a checkpoint. Ternary weights are (code - 1) *
/// `multiplier`.
///
/// The matrix is not decoded in advance: each row is decoded when it is read.
#[derive(Debug)]
pub struct Linear {
    pub(crate) shape: LinearShape,
    pub(crate) multiplier: f32,
    pub(crate) stored: StoredTensor,
    pub(crate) weights: LinearWeights,
    /// The number of heads, if rows are stored with the two rotary halves of each head interleaved (the llama
    /// architecture in GGUF files).
    pub(crate) interleaved_heads: Option<usize>,
}

/// What the stored values of a linear layer are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LinearWeights {
    /// Ternary codes.
    Codes,
    /// Floats from which codes are computed with this scale: master weights, or floats that are ternary
    /// already.
    Masters(TernaryScale),
    /// Full-precision weights, which are used as they are.
    Floats,
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

    /// Returns what the stored values are.
    pub fn weights(&self) -> LinearWeights {
        self.weights
    }

    /// Returns whether the layer is ternary: its weights have codes, and its activations are quantised.
    pub fn is_ternary(&self) -> bool {
        self.weights != LinearWeights::Floats
    }

    /// Checks that the layer can be written in a ternary format.
    ///
    /// # Errors
    /// Returns an error if it is in full precision.
    pub(crate) fn check_ternary(&self) -> Result<()> {
        if self.is_ternary() {
            return Ok(());
        }
        let reason =
            format!("`{}` is in full precision, and conversions write ternary formats", self.shape.name);
        Err(Error::NotABitNet { file: self.stored.file.clone(), reason })
    }

    /// Writes the codes of a row to `out`: 0, 1 or 2. If the file holds the invalid code 3, it is written as
    /// 3.
    ///
    /// # Panics
    /// Panics if the layer is not [ternary](Linear::is_ternary), if there is no such row or if `out` does not
    /// hold `cols` codes.
    pub fn codes(&self, row: usize, out: &mut [u8]) {
        let LinearShape { rows, cols, .. } = self.shape;
        assert!(row < rows && out.len() == cols, "a row of {cols} codes");
        let (data, row) = (&self.stored.bytes[..], self.stored_row(row));
        match (&self.stored.coding, self.weights) {
            (Coding::PackedU8, _) => codec::packed_u8::decode_row(data, rows, row, out),
            (Coding::Ternary(codec), _) => (codec.decode_row)(data, row, out),
            (_, LinearWeights::Masters(scale)) => {
                let mut values = vec![0.0; cols];
                self.stored.read_f32(row * cols, &mut values);
                out.iter_mut().zip(&values).for_each(|(code, w)| *code = (scale.code(*w) + 1) as u8);
            }
            (other, _) => panic!("{} weights of {} have no codes", other.name(), self.shape.name),
        }
    }

    /// Writes a row as floats: the stored floats if there are any, otherwise the codes minus one times the
    /// multiplier.
    ///
    /// # Panics
    /// Panics as [`Linear::codes`] does.
    pub fn floats(&self, row: usize, out: &mut [f32]) {
        // GGUF files can hold a separate scale for float weights.
        let scale = match self.weights {
            LinearWeights::Floats => Some(self.multiplier),
            LinearWeights::Masters(scale) => Some(self.multiplier / scale.multiplier),
            LinearWeights::Codes => None,
        };
        if let Some(scale) = scale {
            self.stored.read_f32(self.stored_row(row) * self.shape.cols, out);
            if scale != 1.0 {
                out.iter_mut().for_each(|w| *w *= scale);
            }
            return;
        }
        let mut codes = vec![0; out.len()];
        self.codes(row, &mut codes);
        out.iter_mut().zip(codes).for_each(|(w, code)| *w = f32::from(code as i8 - 1) * self.multiplier);
    }

    /// Returns how often each of the four codes occurs.
    ///
    /// # Panics
    /// Panics if the layer is not [ternary](Linear::is_ternary).
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

    /// Returns whether the stored values are the weights, in the order of the rows.
    pub fn is_stored_as_used(&self) -> bool {
        self.weights == LinearWeights::Floats && self.multiplier == 1.0 && self.interleaved_heads.is_none()
    }

    /// Returns the bytes of the weights. A caller that no longer needs them can [release](Bytes::release)
    /// them.
    pub fn bytes(&self) -> &Bytes {
        &self.stored.bytes
    }

    /// Returns the index in the file of a row of the layer.
    fn stored_row(&self, row: usize) -> usize {
        stored_row(row, self.shape.rows, self.interleaved_heads)
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
            weights: LinearWeights::Masters(scale),
            interleaved_heads: None,
        })
    }

    /// Returns the layer of full-precision weights `[rows, cols]`, which are used as they are.
    ///
    /// # Errors
    /// Returns an error if the tensor has another shape or holds values that are not finite.
    pub(crate) fn from_floats(shape: &LinearShape, stored: StoredTensor) -> Result<Linear> {
        stored.check_shape(&[shape.rows, shape.cols])?;
        stored.check_finite()?;
        Ok(Linear {
            shape: shape.clone(),
            multiplier: 1.0,
            stored,
            weights: LinearWeights::Floats,
            interleaved_heads: None,
        })
    }
}

/// Returns the index in the file of one of the `rows` rows of a layer. The rows of each of the
/// `interleaved_heads` are stored with the two rotary halves of the head interleaved.
pub(crate) fn stored_row(row: usize, rows: usize, interleaved_heads: Option<usize>) -> usize {
    let Some(heads) = interleaved_heads else { return row };
    let width = rows / heads;
    let (head, within) = (row / width, row % width);
    head * width + 2 * (within % (width / 2)) + within / (width / 2)
}
