//! Errors of finding, opening and converting a model. Each message is one sentence.

use std::{io, path::PathBuf};

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum Error {
    #[error(
        "there is no model {asked}: use {built_in}, a folder with config.json and model.safetensors, a .gguf file, or organisation/name on the hub"
    )]
    UnknownModel { asked: String, built_in: String },
    #[error("{asked} has only a configuration, for `bitkv memory`: use {id}, which has weights")]
    OnlyConfiguration { asked: String, id: &'static str },
    #[error(
        "there is no file or folder {asked} here, and it is not a model on the hub ({reason}): name a folder, a .gguf file, or ORG/NAME"
    )]
    HubName { asked: String, reason: String },
    #[error("there is no file or folder {asked} here, and as a model on the hub it cannot be used: {source}")]
    NotOnHub { asked: String, source: Box<bitkv_hub::Error> },
    #[error("{asked} is neither a folder nor a .gguf file: name the folder that holds config.json")]
    NotAModel { asked: String },
    #[error("{folder} has no {file}: a model's folder holds config.json and model.safetensors")]
    IncompleteFolder { folder: String, file: &'static str },
    #[error("{folder} is not a folder that bitkv can read, because {reason}")]
    ForeignFolder { folder: String, reason: String },
    #[error("{asked} is not a .gguf file and has no I2_S tensors: leave out --i2s-layout")]
    LayoutOfFolder { asked: String },
    #[error("there is no shape {shape}: use 2b-4t, large, {built_in}, or a config.json")]
    UnknownShape { shape: String, built_in: String },
    #[error(
        "{file} is not built in: this program was built from an incomplete `models` folder, so build it again"
    )]
    NotBuiltIn { file: String },
    #[error("{model} was not trained for chat: give the prompt without --chat")]
    NoChat { model: String },
    #[error(
        "{model} has no chat template: put it into tokenizer_config.json or chat_template.jinja beside the weights (in a GGUF file, it is the key tokenizer.chat_template), or leave out --chat"
    )]
    NoChatTemplate { model: String },
    #[error(
        "{model} has no tokenizer.json or tokenizer.model: put one next to its weights, or give token ids with --tokens to generate, trace, plan or profile"
    )]
    NoTokenizer { model: String },
    #[error(
        "{asked} is in full precision, so it cannot run as a plain Llama: leave out --as plain-llama, or the form \"plain-llama\" of a definition"
    )]
    PlainControl { asked: String },
    #[error("a plain Llama is a way to run a model, not a model to write: leave out --as")]
    PlainLlamaWritten,
    #[error("the tokenizer cannot be written into a GGUF file ({source}): write a packed folder instead")]
    Vocabulary { source: Box<bitkv_tokenizer::Error> },
    #[error(
        "the tokenizer puts token {added} after every text, but `eos_token_id` is {ends:?}, and a GGUF file has one key for both: write a packed folder instead"
    )]
    OtherEnd { added: u32, ends: Vec<u32> },
    #[error("{} already exists: choose another path or remove it", path.display())]
    Exists { path: PathBuf },
    #[error("{} is not the name of a folder: name the folder to write", path.display())]
    FolderName { path: PathBuf },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot copy {} to {}: {source}", from.display(), to.display())]
    Copy { from: PathBuf, to: PathBuf, source: io::Error },
    #[error(transparent)]
    BitNet(#[from] bitkv_bitnet::Error),
    #[error(transparent)]
    Checkpoint(#[from] bitkv_checkpoint::Error),
    #[error(transparent)]
    Hub(Box<bitkv_hub::Error>),
    #[error(transparent)]
    Record(#[from] bitkv_record::RecordError),
    #[error(transparent)]
    Tokenizer(#[from] bitkv_tokenizer::Error),
}

// The largest error is boxed, so that `Result`s stay small.
impl From<bitkv_hub::Error> for Error {
    fn from(error: bitkv_hub::Error) -> Error {
        Error::Hub(Box::new(error))
    }
}
