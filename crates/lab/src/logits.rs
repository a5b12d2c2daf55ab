//! [`Logits`] hold rows of logits in one piece of memory.

use candle_core::{CpuStorage, Storage, Tensor};

use crate::{Result, error::bail};

/// Rows of logits, `[rows * classes]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logits {
    values: Vec<f32>,
    classes: usize,
}

impl Logits {
    /// Returns the logits `values`, which are rows of `classes` values each.
    ///
    /// # Panics
    /// Panics if `classes` is 0 or the last row is incomplete.
    pub fn new(values: Vec<f32>, classes: usize) -> Logits {
        assert!(classes > 0 && values.len().is_multiple_of(classes), "logits are whole rows of {classes}");
        Logits { values, classes }
    }

    /// Returns a copy of a model's logits, `[rows, classes]`.
    ///
    /// # Errors
    /// Fails as [`borrow`] does.
    pub fn from_tensor(tensor: &Tensor) -> Result<Logits> {
        let classes = tensor.dims().last().copied().unwrap_or(0);
        borrow(tensor, |values| Logits::new(values.to_vec(), classes))
    }

    /// Returns all values, `[rows * classes]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Returns the number of values per row.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Returns the rows, `[classes]` each.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.classes.max(1))
    }
}

/// Passes the values of a tensor to `read` without a copy. Copying many rows of logits takes as long as
/// comparing them.
///
/// # Errors
/// Returns an error unless the tensor is contiguous, of type f32 and in main memory.
pub fn borrow<T>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((first, end))) => Ok(read(&values[first..end])),
        _ => bail!(Unfit, "logits must be contiguous f32 numbers in main memory, not {tensor:?}"),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_part_of_a_tensor_is_read_without_a_copy() {
        let tensor = Tensor::from_vec(vec![0f32, 1.0, 2.0, 3.0, 4.0, 5.0], (3, 2), &Device::Cpu).unwrap();
        let second = tensor.narrow(0, 1, 2).unwrap();
        assert_eq!(borrow(&second, <[f32]>::to_vec).unwrap(), [2.0, 3.0, 4.0, 5.0]);
        let logits = Logits::from_tensor(&second).unwrap();
        assert_eq!(logits.rows().collect::<Vec<_>>(), [&[2.0, 3.0], &[4.0, 5.0]]);
        let refused = borrow(&tensor.t().unwrap(), <[f32]>::len).unwrap_err().to_string();
        assert!(refused.contains("contiguous"), "{refused}");
    }
}
