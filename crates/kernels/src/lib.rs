//! SIMD on plain slices, chosen at run time. This crate and `bitkv-bytes` are the only two with `unsafe`.
//!
//! Every kernel has a portable form that the vector forms are tested against;
//! callers never say which one runs.

mod aligned;
#[cfg(target_arch = "x86_64")]
mod amx;
pub mod attention;
pub mod bf16;
pub mod ceilings;
pub mod dense;
pub mod elementwise;
pub mod fused;
mod lanes;
pub mod prediction;
mod scatter;
mod simd;
pub mod ternary;
mod transpose;

pub use simd::{Isa, Level, UnknownIsa, check_isa, features, isa, level};
