//! The errors of this crate.

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The reasons why a checkpoint, or a part of it, cannot be examined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum Error {
    #[error("the master weights for {model} cannot be opened: {source}")]
    Masters { model: String, source: Box<bitkv_models::Error> },
    #[error("there is no tokenizer")]
    NoTokenizer,
    #[error("{reason}")]
    RefusedTokenizer { reason: String },
    #[error("the suite has no calibration text")]
    NoText,
    #[error("the model can read only {tokens} tokens of the text, and two are needed")]
    TooFewTokens { tokens: usize },
    #[error(transparent)]
    BitNet(#[from] bitkv_bitnet::Error),
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    #[error(transparent)]
    Checkpoint(#[from] bitkv_checkpoint::Error),
    #[error(transparent)]
    Texts(#[from] bitkv_record::TextsError),
    #[error(transparent)]
    Tokenizer(#[from] bitkv_tokenizer::Error),
}
