//! A tensor as it is stored in its file.

use half::{bf16, f16};
use rayon::prelude::*;

use crate::{Bytes, Coding, Error, Result, ZeroRows, gguf};

/// The number of values that one parallel task checks.
const CHECKED: usize = 1 << 16;

/// A tensor with its bytes and what the file says about them.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    /// The file that holds the tensor.
    pub file: String,
    /// The name in that file.
    pub name: String,
    /// The dimensions as stored, row-major, outermost first. Transformers' packing stores four rows of a
    /// matrix as one.
    pub shape: Vec<usize>,
    /// How the values are stored.
    pub coding: Coding,
    /// The values.
    pub bytes: Bytes,
}

impl StoredTensor {
    /// Returns an error unless the tensor has this shape.
    pub(crate) fn check_shape(&self, expected: &[usize]) -> Result<()> {
        if self.shape == expected {
            return Ok(());
        }
        let (file, tensor) = (self.file.clone(), self.name.clone());
        Err(Error::TensorShape { file, tensor, found: self.shape.clone(), expected: expected.into() })
    }

    /// Returns the error for a tensor that has another type than `expected`.
    pub(crate) fn type_error(&self, expected: &'static str) -> Error {
        Error::TensorType {
            file: self.file.clone(),
            tensor: self.name.clone(),
            found: gguf::type_description(&self.coding),
            expected,
        }
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the values `from .. from + out.len()` as f32.
    ///
    /// # Panics
    /// Panics if they reach past the end, when the coding has no plain values (ternary and unknown codings),
    /// or when `from` is not the start of a block of a block coding.
    pub fn read_f32(&self, from: usize, out: &mut [f32]) {
        let bytes = &self.bytes[..];
        match self.coding {
            Coding::F32 => fill(out, &bytes[4 * from..], |b: [u8; 4]| f32::from_le_bytes(b)),
            Coding::F16 => fill(out, &bytes[2 * from..], |b: [u8; 2]| f16::from_le_bytes(b).to_f32()),
            Coding::Bf16 => fill(out, &bytes[2 * from..], |b: [u8; 2]| bf16::from_le_bytes(b).to_f32()),
            Coding::Quant(codec) => codec.read(bytes, from, out),
            _ => panic!("{} has no plain values", self.coding.name()),
        }
    }

    /// Releases the mapped pages of `count` values from `first` on; see [`Bytes::release`].
    pub(crate) fn release_values(&self, first: usize, count: usize) {
        let (bytes, values) = (self.bytes.len(), self.len().max(1));
        let offset = |value: usize| (value as u128 * bytes as u128 / values as u128) as usize;
        self.bytes.part(offset(first)..offset(first + count)).release();
    }

    /// Returns all values as f32.
    ///
    /// # Errors
    /// Returns an error if the tensor has another shape, does not hold floats, or holds a value that is not
    /// finite.
    pub(crate) fn f32s(&self, shape: &[usize]) -> Result<Vec<f32>> {
        self.check_shape(shape)?;
        if !self.coding.is_float() {
            return Err(self.type_error("F32, F16 or BF16"));
        }
        self.check_finite()?;
        let mut out = vec![0.0; self.len()];
        self.read_f32(0, &mut out);
        Ok(out)
    }

    /// Returns an error if a float is infinite or NaN.
    pub(crate) fn check_finite(&self) -> Result<()> {
        let Some(index) = self.first_not_finite() else { return Ok(()) };
        let mut value = [0.0];
        self.read_f32(index, &mut value);
        let (file, tensor) = (self.file.clone(), self.name.clone());
        Err(Error::NotFinite { file, tensor, index, value: value[0] })
    }

    /// Returns the index of the first float that is infinite or NaN; `None` if all are finite. In block
    /// codings, it is the index of the first value of the block whose scale is not finite.
    pub fn first_not_finite(&self) -> Option<usize> {
        match self.coding {
            Coding::F32 => find(&self.bytes, |b: [u8; 4]| u32::from_le_bytes(b) & 0x7F80_0000 == 0x7F80_0000),
            Coding::F16 => find(&self.bytes, |b: [u8; 2]| u16::from_le_bytes(b) & 0x7C00 == 0x7C00),
            Coding::Bf16 => find(&self.bytes, |b: [u8; 2]| u16::from_le_bytes(b) & 0x7F80 == 0x7F80),
            Coding::Quant(codec) => codec.first_not_finite(&self.bytes),
            _ => None,
        }
    }

    /// Returns which rows of a matrix `[rows, cols]` contain only zeros.
    pub fn zero_rows(&self) -> ZeroRows {
        let mut zero = ZeroRows::default();
        let row = self.bytes.len() / self.shape.first().copied().unwrap_or(1).max(1);
        if row > 0 {
            zero.add(&self.bytes, row);
        }
        zero
    }
}

/// Decodes values of `N` bytes each by `value` and writes them to `out`.
fn fill<const N: usize>(out: &mut [f32], bytes: &[u8], value: impl Fn([u8; N]) -> f32) {
    let (values, _) = bytes.as_chunks::<N>();
    let values = &values[..out.len()];
    out.iter_mut().zip(values).for_each(|(to, from)| *to = value(*from));
}

/// Returns the index of the first value of `N` bytes for which `bad` returns true.
fn find<const N: usize>(bytes: &[u8], bad: impl Fn([u8; N]) -> bool + Sync) -> Option<usize> {
    let (values, _) = bytes.as_chunks::<N>();
    // Each task looks at all of its values: a search that stops early would not be vectorised.
    let dirty =
        values.par_chunks(CHECKED).position_first(|part| part.iter().fold(false, |any, v| any | bad(*v)))?;
    values[dirty * CHECKED..].iter().position(|v| bad(*v)).map(|i| dirty * CHECKED + i)
}
