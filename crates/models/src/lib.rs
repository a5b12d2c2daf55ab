//! Opens a model by name: a built-in one, a Hugging Face folder, a `.gguf` file, or a model of the hub; with its tokenizer.
//!
//! ```text
//! Source::find(name) -> Source -> checkpoint, tokenizer, chat template -> LoadedModel
//! ```
//!
//! [`suite`] holds the texts that are built in beside the models, and [`provenance`] says for a record which program ran
//! on which machine.

#![forbid(unsafe_code)]

pub mod convert;
mod error;
mod known;
mod loaded_model;
pub mod provenance;
mod source;
pub mod suite;
pub mod vocabulary;

pub use error::{Error, Result};
pub use known::{Shape, config_of, configuration, published_model, published_models};
pub use loaded_model::LoadedModel;
pub use source::{Loading, PLAIN_LLAMA_MARK, Source, built_in, built_in_name, required, tokenizer_options};
