//! The errors of this crate. Each is one sentence.

use std::path::PathBuf;

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong with a tokenizer or a text. `file` is a path, or a description of a file in memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum Error {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{file} is not valid JSON: {reason}; fix it or use the file that came with the weights")]
    Json { file: String, reason: String },
    #[error("{file} is not a usable tokenizer: {reason}; use the tokenizer that came with the weights")]
    Tokenizer { file: String, reason: String },
    #[error(
        "{file}: the {what} `{name}` is not supported (known: {known}); use the tokenizer.json of the original \
         weights, or an equivalent one that uses only known parts"
    )]
    Unsupported { file: String, what: &'static str, name: String, known: String },
    #[error(
        "{file} has token id {largest}, but the model's vocabulary has {vocab_size} ids; they do not belong \
         together, so use the tokenizer that came with the weights"
    )]
    TokenizerVocabulary { file: String, largest: u32, vocab_size: usize },
    #[error(
        "{file}: the text contains the token `{token}`, whose id {id} is beyond the {vocab_size} ids of the model: leave \
         the token out, or use the tokenizer that came with the weights"
    )]
    TokenBeyondModel { file: String, token: String, id: u32, vocab_size: usize },
    #[error("token id {id} at index {index} is outside the model's vocabulary of {vocab_size}")]
    TokenOutOfVocabulary { id: u32, index: usize, vocab_size: usize },
    #[error("{file} cannot encode the text: {reason}; use the tokenizer that came with the weights")]
    Encode { file: String, reason: String },
    #[error("{file} cannot encode the text: {reason}; use a shorter text")]
    LongPassage { file: String, reason: String },
    #[error(
        "{file} cannot be written as a GGUF vocabulary that gives the same ids: {reason}; keep its \
         tokenizer.json beside the weights instead"
    )]
    Export { file: String, reason: String },
    #[error("{file}, line {line}: the chat template fails: {reason}; fix it or pass the text as plain text")]
    Chat { file: String, line: usize, reason: String },
    #[error("{date} is not a date: {reason}; write it as YYYY-MM-DD, such as 2026-07-26")]
    Date { date: String, reason: String },
}

impl Error {
    /// Returns the error for a file that is not a usable tokenizer.
    pub(crate) fn tokenizer(file: &str, reason: impl Into<String>) -> Error {
        Error::Tokenizer { file: file.into(), reason: reason.into() }
    }

    /// Returns the error for a part of a tokenizer that is not supported.
    pub(crate) fn unsupported(
        file: &str,
        what: &'static str,
        name: impl Into<String>,
        known: impl Into<String>,
    ) -> Error {
        Error::Unsupported { file: file.into(), what, name: name.into(), known: known.into() }
    }

    /// Returns the error for a file that is not valid JSON.
    pub(crate) fn json(file: &str, reason: impl ToString) -> Error {
        Error::Json { file: file.into(), reason: reason.to_string() }
    }
}
