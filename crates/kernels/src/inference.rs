//! Kernels for inference: what a forward pass of a packed BitNet does, token by token.

pub mod attention;
pub mod dense;
pub mod elementwise;
pub mod prediction;
pub mod ternary;
