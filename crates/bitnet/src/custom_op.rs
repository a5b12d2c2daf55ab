//! Reads the input tensors of custom candle operations.

use candle_core::{CpuStorage, Layout, Result, bail};

/// Returns the f32 values of a contiguous tensor on the CPU. Error messages begin with `name`, the name of
/// the operation.
///
/// # Errors
/// Fails if the values are of another type, or if the tensor is not contiguous.
pub fn contiguous_f32<'a>(name: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        (CpuStorage::F32(_), None) => bail!("{name} reads contiguous tensors: call `contiguous` first"),
        _ => bail!("{name} reads f32 tensors: call `to_dtype(DType::F32)` first"),
    }
}
