//! SIMD kernels on plain slices, with the instruction set chosen at run time.
//!
//! - For inference, [`ternary`] multiplies int8 activations by ternary weights, [`dense`] multiplies floats,
//!   [`blocks`] decodes block-quantised weights, [`attention`] computes causal attention over a cache,
//!   [`elementwise`] has norms, gates and rotations, and [`prediction`] compares logits.
//! - [`training`] has the fused forward and backward passes of a training step.
//! - [`ceilings`] measures the peak rates of the machine, with which kernels are compared.
//!
//! Every kernel has a portable implementation, and tests compare the vector implementations with it. [`isa`]
//! is the instruction set in use; the environment variable `BITKV_ISA` overrides it.
//!
//! Only this crate and `bitkv-bytes` contain `unsafe` code.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod activation;
mod aligned;
#[cfg(target_arch = "x86_64")]
mod amx;
pub mod ceilings;
#[cfg(target_arch = "x86_64")]
mod extension;
mod inference;
mod lanes;
mod scatter;
mod simd;
pub mod training;
mod transpose;
mod vector;

pub use inference::{attention, blocks, dense, elementwise, prediction, ternary};
pub use simd::{Isa, Level, UnknownIsa, check_isa, features, isa, level};
