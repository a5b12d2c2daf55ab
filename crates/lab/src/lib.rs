//! Turns texts, models and policies into measurements.
//!
//! One prefill serves every policy and budget ([`context`]); [`grid`] runs a definition; [`verification`] makes the
//! definition of the published claims. Measuring writes rows; what they mean is the business of reports.

#![forbid(unsafe_code)]

pub mod context;
mod error;
pub mod generation;
pub mod grid;
pub mod head_file;
pub mod head_numbers;
pub mod logits;
pub mod memory;
pub mod metrics;
pub mod observation;
pub mod plan_export;
pub mod profile;
pub mod reconstruction;
mod registry;
pub mod tasks;
pub mod tensors;
pub mod verification;
pub mod window;

pub use error::{Error, Result};
pub use registry::{registry, role_of};
