//! The errors of this crate, each with a message of one sentence.

use std::fmt;

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A result of a forward pass, as errors name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "the fields are indices of a layer and of a head in it")]
pub enum Place {
    /// The query of a query head.
    Query { layer: usize, head: usize },
    /// The key of a KV head.
    Key { layer: usize, head: usize },
    /// The value of a KV head.
    Value { layer: usize, head: usize },
    /// The residual stream after a layer.
    Hidden { layer: usize },
    /// The logits.
    Logits,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Query { layer, head } => write!(f, "query in layer {layer}, head {head}"),
            Place::Key { layer, head } => write!(f, "key in layer {layer}, KV head {head}"),
            Place::Value { layer, head } => write!(f, "value in layer {layer}, KV head {head}"),
            Place::Hidden { layer } => write!(f, "hidden state after layer {layer}"),
            Place::Logits => f.write_str("logits"),
        }
    }
}

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum Error {
    #[error(transparent)]
    Checkpoint(#[from] bitkv_checkpoint::Error),
    #[error(
        "token id {id} at index {index} is outside the model's vocabulary of {vocab_size}: use ids of its tokenizer"
    )]
    TokenOutOfVocabulary { id: u32, index: usize, vocab_size: usize },
    #[error("there are no tokens to process: give at least one")]
    NoTokens,
    #[error(
        "position {last} is past the model's {limit} positions (`max_position_embeddings`): shorten the input"
    )]
    ContextTooLong { last: usize, limit: usize },
    #[error("the cache is for {found}, but the model needs {expected}")]
    CacheShape { found: String, expected: String },
    #[error("layer {layer}, KV head {head}: position {position} is not in the cache, so it cannot be kept")]
    UnknownPosition { layer: usize, head: usize, position: u32 },
    #[error("layer {layer}, KV head {head}: kept positions must be ascending, but {next} follows {previous}")]
    NotAscending { layer: usize, head: usize, previous: u32, next: u32 },
    #[error("`{option}` is {value}, {reason}")]
    Option { option: &'static str, value: String, reason: &'static str },
    #[error("a window of {0} queries is empty: ask for at least 1")]
    EmptyWindow(usize),
    #[error("hidden states have shape {found:?}, expected [tokens, {hidden_size}]")]
    HiddenShape { found: Vec<usize>, hidden_size: usize },
    #[error("the LM head cannot be rounded to int8 ({0}): use the exact LM head")]
    RoundedLmHead(std::io::Error),
    #[error(
        "{found} weights do not make a matrix of {rows} rows and {cols} columns (1 to 262144 columns): give rows * cols weights, row by row"
    )]
    WeightCount { found: usize, rows: usize, cols: usize },
    #[error(
        "the weight in row {row}, column {column} is not -1, 0 or 1: pass full-precision weights to `BitLinear::from_masters`, which requires them to be finite"
    )]
    NotTernary { row: usize, column: usize },
    #[error("the trace has no tensors to write: make it with the detail `Tensors`")]
    NoTensors,
    #[error(
        "the {place} of the token at position {position} is {value}, which is not a finite number: the weights are damaged or too large, so examine the model with `bitkv doctor`"
    )]
    NotFinite { place: Place, position: usize, value: f32 },
    #[error(
        "the {place} of the token at position {position} has the value {value}, but this cache holds at most {limit}: `generate --kv f32` and `trace` store keys and values in f32"
    )]
    CacheOverflow { place: Place, position: usize, value: f32, limit: f32 },
    #[error("{0}")]
    Hook(Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "the device {name} cannot be used ({source}): build with `--features {name}` on a machine that has such a device, or use cpu"
    )]
    Device { name: &'static str, source: candle_core::Error },
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
