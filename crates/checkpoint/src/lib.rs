//! What a checkpoint holds: configuration, tensors and their codings, whatever the file format.
//!
//! ```text
//! Checkpoint::open(folder or .gguf) -> config, norms, embedding, linear layers as ternary codes
//! ```
//!
//! Weights are memory-mapped and nothing is expanded: a linear layer decodes rows of codes when it is asked.

#![forbid(unsafe_code)]

mod bytes;
mod checkpoint;
pub mod codec;
mod coding;
mod config;
mod config_read;
mod contents;
mod dense;
mod error;
mod floats;
mod generation_config;
pub mod gguf;
mod json;
mod linear;
mod packed;
mod random;
mod rewrite;
mod safetensors_file;
mod save;
mod shapes;
mod shards;
mod stored;
pub mod structure;
mod ternarise;

pub use bytes::Bytes;
pub use checkpoint::Checkpoint;
pub use coding::Coding;
pub use config::{Activation, Architecture, Config, ScaleRule, WeightFormat};
pub use contents::{Contents, Held};
pub use dense::Dense;
pub use error::{Error, Result};
pub use floats::FloatType;
pub use linear::Linear;
pub use packed::write_packed_folder;
pub use random::write_random;
pub use safetensors_file::write_f32_tensors;
pub use save::{PackedTypes, write_packed};
pub use shapes::{LayerNorms, LinearShape, NormShape};
pub use stored::Stored;
pub use ternarise::Ternarised;
