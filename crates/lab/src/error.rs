//! [`Error`] lists the errors of experiments; the traits and macros here make them.

use std::fmt::Display;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of this crate. Every message is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A definition, or an option of `bitkv verify`, asks for something impossible. The sentence names the
    /// key.
    #[error("{0}")]
    Definition(String),
    /// A file of tensors or of head scores does not hold what it should. The sentence names the file.
    #[error("{0}")]
    File(String),
    /// A model, its tokenizer or a text cannot be used for what is asked of it.
    #[error("{0}")]
    Unfit(String),
    /// Nothing was evicted and yet a result changed, so no number of the run can be trusted.
    #[error("the self-check failed: {policy} at budget 1 on {text} {found}; report this as a defect")]
    SelfCheck {
        /// The policy.
        policy: String,
        /// The text or the generated context.
        text: String,
        /// The difference from the full cache, as the rest of the sentence.
        found: String,
    },
    /// The user asked the work to stop. What was measured is kept.
    #[error("the work was stopped as asked")]
    Cancelled,
    /// Another error, with the place where it happened.
    #[error("{place}: {source}")]
    At {
        /// The key of the definition, the experiment or the file.
        place: String,
        /// The error.
        source: Box<Error>,
    },
    /// An error of the forward pass.
    #[error(transparent)]
    BitNet(Box<bitkv_bitnet::Error>),
    /// An error of a tensor operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// An error in the checkpoint of a model.
    #[error(transparent)]
    Checkpoint(Box<bitkv_checkpoint::Error>),
    /// An error of a policy.
    #[error(transparent)]
    Evict(Box<bitkv_evict::Error>),
    /// An error of finding or opening a model.
    #[error(transparent)]
    Model(Box<bitkv_models::Error>),
    /// An error in a file of the run.
    #[error(transparent)]
    Record(Box<bitkv_record::RecordError>),
    /// An error in the texts of an experiment.
    #[error(transparent)]
    Texts(#[from] bitkv_record::TextsError),
    /// An error of the tokenizer of a model.
    #[error(transparent)]
    Tokenizer(#[from] bitkv_tokenizer::Error),
}

impl Error {
    /// Returns whether another process is writing the run.
    pub fn is_locked(&self) -> bool {
        matches!(self, Error::Record(error) if matches!(**error, bitkv_record::RecordError::Locked { .. }))
    }

    /// Returns whether the work ended because the user asked it to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Error::Cancelled => true,
            Error::At { source, .. } => source.is_cancelled(),
            _ => false,
        }
    }
}

/// Converts large errors of other crates. They are boxed, so that `Result`s stay small.
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

/// Adds the place where an error happened.
pub(crate) trait Place<T> {
    /// Returns the result. If it is an error, `place` is put before its sentence.
    fn at(self, place: impl Display) -> Result<T>;
}

impl<T, E: Into<Error>> Place<T> for Result<T, E> {
    fn at(self, place: impl Display) -> Result<T> {
        self.map_err(|source| Error::At { place: place.to_string(), source: Box::new(source.into()) })
    }
}

/// Turns a missing value, or an error of another library, into an error of this crate.
pub(crate) trait Refuse<T> {
    /// Returns the value, or an error of `kind` with `sentence` and the other library's reason, if there is
    /// one.
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

/// Returns from the function with an error of a kind and a formatted sentence.
macro_rules! bail {
    ($kind:ident, $($sentence:tt)+) => {
        return Err($crate::Error::$kind(format!($($sentence)+)))
    };
}

/// Returns from the function with an error of a kind and a formatted sentence unless a condition holds.
macro_rules! ensure {
    ($kind:ident, $condition:expr, $($sentence:tt)+) => {
        if !$condition {
            $crate::error::bail!($kind, $($sentence)+);
        }
    };
}

pub(crate) use {bail, ensure};
