//! Fused layers as candle operations with their own backward passes.
//!
//! Each operation wraps a forward and a backward function of `bitkv_kernels::training`. Training with plain
//! candle operations would be about ten times slower, because they spend most of their time allocating
//! temporaries.

mod attention;
mod bit_linear;
mod glu;
mod lm_head;
mod rms_norm;

use bitkv_bitnet::custom_op::contiguous_f32;
use candle_core::{Result, Storage, Tensor, bail};

pub use attention::CausalAttention;
pub use bit_linear::{BitLinear, Precision};
pub use glu::Glu;
pub use lm_head::{LmHeadCrossEntropy, SharedScores};
pub use rms_norm::RmsNorm;

/// Calls `read` with the f32 values of a tensor on the CPU.
///
/// # Errors
/// Fails if the tensor has another type or is on another device.
pub fn with_floats<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(read(contiguous_f32("a fused operation", storage, layout)?)),
        _ => bail!("a fused operation runs only on the CPU: call `to_device` first"),
    }
}

/// Returns a tensor with these values and the shape of `like`.
fn shaped(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, like.shape().clone(), like.device())
}
