//! The errors of this crate, each with a message of one sentence.

use std::{error::Error as StdError, io, path::PathBuf};

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a library that has several error types.
pub(crate) type Source = Box<dyn StdError + Send + Sync>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum Error {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: Source },
    #[error("{} is being written by another process: wait until it ends, or give another --out", path.display())]
    Locked { path: PathBuf },
    #[error("cannot create the folder {}: {source}", path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error("cannot read the recipe {}{}: {}", path.display(), recipe_line(text, source), source.message())]
    Recipe { path: PathBuf, text: String, source: Box<toml::de::Error> },
    #[error("the recipe {} cannot be trained, because {key} is {value}: {remedy}", path.display())]
    RecipeValue { path: PathBuf, key: String, value: String, remedy: String },
    #[error("{file} holds {found} tokens of text, but at least {needed} are needed: add text")]
    ShortText { file: &'static str, found: usize, needed: usize },
    #[error(
        "train.txt is enough for a vocabulary of {found} tokens, but shape.vocabulary is {size}: add text, or use a smaller vocabulary"
    )]
    SmallCorpus { found: usize, size: usize },
    #[error("the tokenizer cannot be trained on the corpus: {source}")]
    TrainTokenizer { source: Source },
    #[error("the trained tokenizer gives {token} another id than {id}, which is a bug: please report it")]
    SpecialToken { token: &'static str, id: u32 },
    #[error("cannot use the tokenizer {} ({source}): remove the file to train a new one", path.display())]
    ReadTokenizer { path: PathBuf, source: Source },
    #[error(
        "{} holds {found} tokens, but the recipe asks for {wanted}: use another folder for the prepared data", path.display()
    )]
    Vocabulary { path: PathBuf, found: usize, wanted: usize },
    #[error(
        "{} was changed after it was prepared: remove the folder {} to prepare it again", path.display(), folder.display()
    )]
    DamagedData { path: PathBuf, folder: PathBuf },
    #[error(
        "{} is another text than the one that {} was prepared from: give the same text, or other folders for the data and the run", path.display(), prepared.display()
    )]
    OtherText { path: PathBuf, prepared: PathBuf },
    #[error("{} is not UTF-8: save it as UTF-8", path.display())]
    NotText { path: PathBuf },
    #[error(
        "{file} has {found} bytes without white space, but a word has at most {most}: give a text with words"
    )]
    LongWord { file: &'static str, found: usize, most: usize },
    #[error("{file} has {found} different words, but at least {needed} are needed: add text")]
    SameWords { file: &'static str, found: usize, needed: usize },
    #[error("the corpus cannot be encoded: {source}")]
    Encode { source: Source },
    #[error(
        "the vocabulary has {found} whole words, but the tasks need at least 64: use a larger vocabulary"
    )]
    FewWords { found: usize },
    #[error("the vocabulary has no token for a newline, which the tasks need: train another tokenizer")]
    NoNewline,
    #[error("the parameter {parameter} has no gradient, which is a bug: please report it")]
    NoGradient { parameter: String },
    #[error("the gradient is not finite at step {step}: lower the learning rate")]
    NotFinite { step: usize },
    #[error("cannot resume from {} ({source}): remove the file to start from the beginning", path.display())]
    Resume { path: PathBuf, source: Source },
    #[error(
        "{} is damaged, because its content does not have the hash that it stores: remove the file to start from the beginning", path.display()
    )]
    DamagedCheckpoint { path: PathBuf },
    #[error(
        "{} was trained with {key} = {found}, but now it is {wanted}: use the same inputs, or use an empty folder", path.display()
    )]
    OtherInput { path: PathBuf, key: String, found: String, wanted: String },
    #[error("{} belongs to the run of {found}, but this is a run of {wanted}: use an empty folder", path.display())]
    OtherRun { path: PathBuf, found: String, wanted: String },
    #[error("{}: the tensor {name} does not have the size that the recipe gives it: use an empty folder", path.display())]
    TensorSize { path: PathBuf, name: String },
    #[error("the training log {} is damaged ({source}): remove the file to continue without it", path.display())]
    DamagedLog { path: PathBuf, source: csv::Error },
    #[error(
        "the loss of the packed model is {packed:.4} nats per token, but that of the trained one is {trained:.4}, so {file} is damaged: export again"
    )]
    OtherLoss { packed: f64, trained: f64, file: &'static str },
    #[error("{} is not an empty folder: name another folder for the exported model", path.display())]
    ExportExists { path: PathBuf },
    #[error("the training was stopped as asked")]
    Cancelled,
    #[error(transparent)]
    TooLarge(#[from] bitkv_bytes::TooLarge),
    #[error("the model's card cannot be formatted: {0}")]
    Card(#[from] std::fmt::Error),
    #[error(transparent)]
    Tokenizer(#[from] bitkv_tokenizer::Error),
    #[error(transparent)]
    BitNet(#[from] bitkv_bitnet::Error),
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// Returns the line of a recipe at which reading failed, as `, line N`; empty if the error is about a key
/// that is missing, because that has no line.
fn recipe_line(text: &str, error: &toml::de::Error) -> String {
    match error.span() {
        Some(span) if !error.message().starts_with("missing field") => {
            let before = text.get(..span.start).unwrap_or(text);
            format!(", line {}", before.matches('\n').count() + 1)
        }
        _ => String::new(),
    }
}

impl Error {
    /// Returns a function for `map_err`, which makes the error about a file that cannot be read.
    pub(crate) fn reading(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        |source| Error::Read { path, source }
    }

    /// Returns a function for `map_err`, which makes the error about a file that cannot be written.
    pub(crate) fn writing<E: Into<Source>>(path: impl Into<PathBuf>) -> impl FnOnce(E) -> Error {
        let path = path.into();
        |source| Error::Write { path, source: source.into() }
    }

    /// Returns a function for `map_err`, which makes the error about a folder that cannot be created.
    pub(crate) fn creating(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        |source| Error::Create { path, source }
    }
}
