//! Kernels for training: fused forward and backward passes of a BitNet layer, and products of bf16 matrices ([`bf16`]).
//!
//! Matrices are row-major; a row is a token. Backward passes recompute what is cheap and keep
//! what is not. Sums run in 16 lanes in a fixed order, so results do not depend on the vector width.

mod adamw;
mod attention;
pub mod bf16;
mod cross_entropy;
mod glu;
mod quantize;
mod rms_norm;

pub use crate::{
    activation::Gate,
    vector::{dot, exp, sum_of_squares},
};
pub use adamw::{AdamW, adamw};
pub use attention::{Attention, Saved as AttentionSaved};
pub use cross_entropy::{Gradients as HeadGradients, Scores, cross_entropy};
pub use glu::{glu, glu_backward};
pub use quantize::{Activations, quantize_activations, ternarize};
pub use rms_norm::{rms_norm, rms_norm_backward};

#[cfg(test)]
mod tests;
