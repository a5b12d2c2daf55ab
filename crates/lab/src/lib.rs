//! Turns texts, models and policies into measurements.
//!
//! One prefill serves every policy and budget ([`context`]); a cell is planned, cut, continued and
//! scored ([`cell`]); [`verify`] does it for the published claims.

pub mod cell;
pub mod context;
pub mod doctor;
pub mod evidence;
pub mod grid;
pub mod head_file;
pub mod logits;
pub mod manifest;
pub mod memory;
pub mod metrics;
pub mod profile;
pub mod progress;
pub mod published;
pub mod recall;
pub mod reconstruction;
pub mod skeleton;
mod source;
mod subject;
pub mod suite;
pub mod tasks;
pub mod tensors;
pub mod throughput;
pub mod verify;
pub mod vocabulary;
pub mod window;

pub use source::{Loading, SKELETON_MARK, Source, built_in, tokenizer_options};
pub use subject::Subject;
