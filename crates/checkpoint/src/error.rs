//! The errors of this crate. Each is one sentence.

use std::{
    io,
    path::{Path, PathBuf},
};

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong with a checkpoint. `file` is a path, or a description of a file in memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum Error {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {} ({source}): choose another path", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} already exists: choose another path or remove it", path.display())]
    Exists { path: PathBuf },
    #[error("{file} is not valid JSON ({reason}): fix it or use the file that came with the weights")]
    Json { file: String, reason: String },
    #[error(
        "{file} lacks the key `{key}`, which this model needs: use the config.json that came with the weights"
    )]
    MissingKey { file: String, key: &'static str },
    #[error("{file}: `{key}` is {value}, {reason}")]
    ConfigValue { file: String, key: String, value: String, reason: String },
    #[error("{file} is not a usable safetensors file ({reason}) and may be truncated: download it again")]
    Safetensors { file: String, reason: String },
    #[error("{file}: the name `{name}` appears twice, so the file is damaged: download it again")]
    DuplicateName { file: String, name: String },
    #[error("{file} is not a usable index ({reason}): download the index and all shards again")]
    Index { file: String, reason: String },
    #[error(
        "{file} lacks the tensor `{tensor}`{hint}, so the weights are incomplete or of another model: use those that belong to config.json"
    )]
    MissingTensor { file: String, tensor: String, hint: &'static str },
    #[error(
        "{file}: tensor `{tensor}` has shape {found:?}, but config.json (or the GGUF file's metadata) requires {expected:?}: use weights and a configuration that belong together"
    )]
    TensorShape { file: String, tensor: String, found: Vec<usize>, expected: Vec<usize> },
    #[error(
        "{file}: tensor `{tensor}` has type {found}, expected {expected}: use weights and a configuration that belong together"
    )]
    TensorType { file: String, tensor: String, found: String, expected: &'static str },
    #[error(
        "{file}: tensor `{tensor}` holds {value} at index {index}, but weights must be finite: download them again"
    )]
    NotFinite { file: String, tensor: String, index: usize, value: f32 },
    #[error(
        "{file}: tensor `{tensor}` holds the weight scale {value:e}, so results would be multiplied by {multiplier:e}, but a weight scale and its reciprocal must be positive and finite, so the file is damaged: download it again"
    )]
    BadScale { file: String, tensor: String, value: f32, multiplier: f32 },
    #[error(
        "{file} has the tensor `{tensor}`, which models of this architecture do not have, and ignoring it would run a different model: use a configuration that belongs to these weights"
    )]
    UnusedTensor { file: String, tensor: String },
    #[error(
        "{file}: tensor `{tensor}` has the invalid ternary code 3 in row {row}, column {column}, so \
         the file is damaged or packed in another way: download it again, or run `bitkv doctor`"
    )]
    InvalidCode { file: String, tensor: String, row: usize, column: usize },
    #[error(
        "{file}: {zero} of {rows} rows of `{tensor}` are all zero, as in a truncated or sparse download: compare size and checksum with the source and download it again"
    )]
    ZeroRows { file: String, tensor: String, zero: usize, rows: usize },
    #[error(
        "{file}: the rows of `{tensor}` have {width} weights, but sums are exact only up to {limit}: use a model with smaller layers"
    )]
    RowTooLong { file: String, tensor: String, width: usize, limit: usize },
    #[error("{file} is not a usable GGUF file: {reason}")]
    Gguf { file: String, reason: String },
    #[error(
        "{file} is opened as a plain Llama, and a plain Llama is a way to run a model: write it in its true form"
    )]
    PlainLlama { file: String },
    #[error("{file} cannot be converted, because {reason}: use the files as they are")]
    NotABitNet { file: String, reason: String },
    #[error("{file}: tensor `{tensor}` cannot be written as {target}: {reason}")]
    NotConvertible { file: String, tensor: String, target: &'static str, reason: String },
}

impl Error {
    /// Returns a function that turns a system error into an error that names the file being written.
    pub(crate) fn writing(path: &Path) -> impl Fn(io::Error) -> Error {
        move |source| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists { path: path.into() },
            _ => Error::Write { path: path.into(), source },
        }
    }
}
