//! Rows of numbers as the bytes of a tensor, and back.

use safetensors::{Dtype, tensor::TensorView};

/// Returns the shape `[rows, length]` of rows and their little-endian bytes; `None` if they differ in length.
pub(crate) fn rows_to_bytes(rows: &[Vec<f32>]) -> Option<([usize; 2], Vec<u8>)> {
    let length = rows.first().map_or(0, Vec::len);
    let bytes = || rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    rows.iter().all(|row| row.len() == length).then(|| ([rows.len(), length], bytes()))
}

/// Returns the rows of a tensor; `None` if it is not a matrix of F32.
pub(crate) fn rows_from_tensor(tensor: &TensorView<'_>) -> Option<Vec<Vec<f32>>> {
    let &[rows, length] = tensor.shape() else { return None };
    let all: Vec<f32> = numbers(tensor.data(), f32::from_le_bytes);
    let row = |row: usize| all[row * length..][..length].to_vec();
    (tensor.dtype() == Dtype::F32).then(|| (0..rows).map(row).collect())
}

/// Returns the numbers of little-endian bytes.
pub(crate) fn numbers<T, const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}
