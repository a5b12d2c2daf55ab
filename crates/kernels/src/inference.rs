//! Kernels for inference: the operations of a forward pass of a packed BitNet.

pub mod attention;
pub mod blocks;
pub mod dense;
pub mod elementwise;
pub mod prediction;
pub mod ternary;
