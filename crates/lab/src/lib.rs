//! Turns texts, models and policies into measurements.
//!
//! One prefill serves every policy and budget ([`context`]); [`grid`] runs a definition; [`verification`] makes the
//! definition of the published claims. Measuring writes rows; what they mean is the business of reports.

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
pub mod reconstruction;
mod source;
mod subject;
pub mod suite;
pub mod tasks;
pub mod tensors;
pub mod throughput;
pub mod verification;
pub mod vocabulary;
pub mod window;

pub use source::{Loading, PLAIN_LLAMA_MARK, Source, built_in, built_in_name, tokenizer_options};
pub use subject::Subject;
