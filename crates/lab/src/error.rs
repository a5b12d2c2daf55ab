//! What can go wrong in an experiment.

use std::fmt::Display;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of this crate. Every message is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A definition, or a change to the one of `verify`, asks for what cannot be. The sentence names the key.
    #[error("{0}")]
    Definition(String),
    /// A file of tensors or of head scores does not hold what it should. The sentence names the file.
    #[error("{0}")]
    File(String),
    /// A model, its tokenizer or a text is not fit for what is asked of it.
    #[error("{0}")]
    Unfit(String),
    /// Nothing was evicted and yet something changed, so no number of the run can be trusted.
    #[error("the self-check failed: {policy} at budget 1 on {text} {found}; report this as a defect")]
    SelfCheck {
        /// The policy.
        policy: String,
        /// The text or the questions.
        text: String,
        /// What differs from the full cache.
        found: String,
    },
    /// Another error, and where it happened.
    #[error("{place}: {source}")]
    At {
        /// The key of the definition, the experiment or the file.
        place: String,
        /// What happened there.
        source: Box<Error>,
    },
    /// The forward pass.
    #[error(transparent)]
    BitNet(Box<bitkv_bitnet::Error>),
    /// A tensor operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// The checkpoint of a model.
    #[error(transparent)]
    Checkpoint(Box<bitkv_checkpoint::Error>),
    /// A policy.
    #[error(transparent)]
    Evict(Box<bitkv_evict::Error>),
    /// A model.
    #[error(transparent)]
    Model(Box<bitkv_models::Error>),
    /// A file of the run.
    #[error(transparent)]
    Record(Box<bitkv_record::RecordError>),
    /// The texts of an experiment.
    #[error(transparent)]
    Texts(#[from] bitkv_record::TextsError),
    /// The tokenizer of a model.
    #[error(transparent)]
    Tokenizer(#[from] bitkv_tokenizer::Error),
}

/// The errors of other crates that are large are boxed, so that results stay small.
macro_rules! boxed {
    ($($kind:ident($error:ty)),+) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Error {
                Error::$kind(Box::new(error))
            }
        }
    )+};
}

boxed!(
    BitNet(bitkv_bitnet::Error),
    Checkpoint(bitkv_checkpoint::Error),
    Evict(bitkv_evict::Error),
    Model(bitkv_models::Error),
    Record(bitkv_record::RecordError)
);

/// Says where an error happened.
pub(crate) trait Place<T> {
    /// The same with `place` before its sentence.
    fn at(self, place: impl Display) -> Result<T>;
}

impl<T, E: Into<Error>> Place<T> for Result<T, E> {
    fn at(self, place: impl Display) -> Result<T> {
        self.map_err(|source| Error::At { place: place.to_string(), source: Box::new(source.into()) })
    }
}

/// Refuses what lacks a value, or what another library refuses, with a sentence of a kind.
pub(crate) trait Refuse<T> {
    /// An error of `kind` with `sentence`, and with the other library's reason if it gave one.
    fn refuse(self, kind: fn(String) -> Error, sentence: impl Display) -> Result<T>;
}

impl<T> Refuse<T> for Option<T> {
    fn refuse(self, kind: fn(String) -> Error, sentence: impl Display) -> Result<T> {
        self.ok_or_else(|| kind(sentence.to_string()))
    }
}

impl<T, E: Display> Refuse<T> for Result<T, E> {
    fn refuse(self, kind: fn(String) -> Error, sentence: impl Display) -> Result<T> {
        self.map_err(|reason| kind(format!("{sentence}: {reason}")))
    }
}

/// Returns an error of a kind with a formatted sentence.
macro_rules! bail {
    ($kind:ident, $($sentence:tt)+) => {
        return Err($crate::Error::$kind(format!($($sentence)+)))
    };
}

/// The same unless a condition holds.
macro_rules! ensure {
    ($kind:ident, $condition:expr, $($sentence:tt)+) => {
        if !$condition {
            $crate::error::bail!($kind, $($sentence)+);
        }
    };
}

pub(crate) use {bail, ensure};
