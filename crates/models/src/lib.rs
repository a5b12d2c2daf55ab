//! Opens a model by name, with its tokenizer: a built-in model, a Hugging Face folder, a `.gguf` file, or a
//! model of the Hugging Face hub.
//!
//! ```text
//! Source::find(name) -> Source -> checkpoint, tokenizer, chat template -> LoadedModel
//! ```
//!
//! [`Source::find`] locates the files of a model and downloads them if necessary. A [`Source`] opens the
//! parts of a model one by one; a [`LoadedModel`] holds its weights and its tokenizer, ready to run. A
//! [`Shape`] is the configuration of a model whose weights are not needed. [`convert`] writes a model in
//! another format, [`suite`] holds the texts that are compiled in, and [`provenance`] records which program
//! ran on which machine.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod convert;
mod error;
mod folder;
mod known;
mod loaded_model;
mod names;
mod padding;
pub mod provenance;
mod source;
pub mod suite;
pub mod vocabulary;

pub use error::{Error, Result};
pub use known::{Shape, find_config, published_id, published_model, published_models, published_shape};
pub use loaded_model::LoadedModel;
pub use names::{Names, distinct_names};
pub use source::{
    Loading, PLAIN_LLAMA_MARK, Source, built_in, built_in_name, may_download, required, tokenizer_options,
};
