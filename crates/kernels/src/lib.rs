//! SIMD on plain slices, chosen at run time. This crate and `bitkv-bytes` are the only two with `unsafe`.
//!
//! Every kernel has a portable form that the vector forms are tested against; callers never say which one runs. The
//! kernels of a forward pass are in the folder `inference`, those of a training step in [`training`], and the loops that
//! show what the machine can do at most in [`ceilings`].

mod activation;
mod aligned;
#[cfg(target_arch = "x86_64")]
mod amx;
pub mod ceilings;
mod inference;
mod lanes;
mod scatter;
mod simd;
pub mod training;
mod transpose;
mod vector;

pub use inference::{attention, dense, elementwise, prediction, ternary};
pub use simd::{Isa, Level, UnknownIsa, check_isa, features, isa, level};
