//! Reads the checkpoints of BitNet models and of full-precision controls in every file format, and writes
//! those of BitNets: the configuration, the tensors, and the codings of weights.
//!
//! ```text
//! Checkpoint::open(folder or .gguf) -> config, norms, embedding, linear layers as ternary codes or floats
//! ```
//!
//! A [`Checkpoint`] opens a Hugging Face folder or a GGUF file. It has a [`Config`] and returns its tensors
//! by role: a [`Linear`] is the matrix of a linear layer, a [`Dense`] is the embedding or the LM head, and a
//! [`StoredTensor`] is any tensor with its bytes. Weights are memory-mapped and are not decoded in advance: a
//! linear layer decodes its codes row by row when they are read.
//!
//! [`write_packed_folder`] and [`gguf::write`] convert any checkpoint, [`write_packed`] writes a trained one,
//! and [`write_random`] writes random weights. [`codec`] holds the codings themselves.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

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
mod remarks;
mod rewrite;
mod rope;
mod safetensors_file;
mod save;
mod setting_rules;
mod shapes;
mod shards;
mod stored;
pub mod structure;
mod tensor_names;
mod ternarise;
mod unused;
mod zero_rows;

pub use bytes::Bytes;
pub use checkpoint::Checkpoint;
pub use coding::Coding;
pub use config::{Activation, Architecture, Biases, Config, ScaleRule, WeightFormat};
pub use contents::{Contents, ListedTensor};
pub use dense::Dense;
pub use error::{Error, Result};
pub use floats::FloatType;
pub use linear::{Linear, LinearWeights};
pub use packed::write_packed_folder;
pub use random::write_random;
pub use remarks::IgnoredSetting;
pub use rope::{Llama3Scaling, RopeScaling};
pub use safetensors_file::write_f32_tensors;
pub use save::{PackedTypes, write_packed};
pub use shapes::{LayerNorms, LinearShape, NormShape};
pub use stored::StoredTensor;
pub use ternarise::TernaryScale;
pub use zero_rows::ZeroRows;
