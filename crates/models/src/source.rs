//! A [`Source`] knows where the files of a model are, and how to read them.

use std::path::{Path, PathBuf};

use bitkv_bitnet::{Arithmetic, Model};
use bitkv_checkpoint::{
    Activation, Architecture, Checkpoint, Config, WeightFormat,
    codec::i2s::Layout,
    gguf::{self, ReadOptions},
};
use bitkv_hub::{ModelId, Settings};
use bitkv_progress::{Progress, Silent};
use bitkv_record::{FileHash, ModelEntry};
use bitkv_tokenizer::{Chat, Tokenizer};
use include_dir::{Dir, include_dir};

use crate::{Error, LoadedModel, Names, Result, folder, known::published_id, vocabulary};

static MODELS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../models");

/// The files of a built-in model.
const BUILT_IN: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];

/// The files with tokens that a folder adds to its `tokenizer.model`. They are not read beside a
/// `tokenizer.json`.
const ADDED_TOKENS: [&str; 2] = ["added_tokens.json", "special_tokens_map.json"];

/// The ending of the name of a GGUF file.
pub(crate) const GGUF: &str = ".gguf";

/// The token that ends every turn in the chat template of BitNet-b1.58-2B-4T.
const TURN_END: &str = "<|eot_id|>";

/// The suffix of the name of a model that runs as a plain Llama, so that its rows cannot be mistaken for
/// those of the true model.
pub const PLAIN_LLAMA_MARK: &str = "+plain-llama";

/// Returns the names of the built-in models, in the order in which reports list them.
pub fn built_in() -> Vec<&'static str> {
    let mut names: Vec<&str> = MODELS
        .dirs()
        .filter(|dir| dir.get_file(dir.path().join("model.safetensors")).is_some())
        .filter_map(|dir| dir.path().to_str())
        .collect();
    // The multi-head model precedes the grouped-query model, as in the published claims.
    names.sort_by_key(|name| std::cmp::Reverse(*name));
    names
}

/// Returns the exact name of the built-in model called `name`, in any case; `None` if there is no such model.
pub fn built_in_name(name: &str) -> Option<&'static str> {
    built_in().into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

/// Options for reading a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loading {
    /// Whether the weights run as a plain Llama; see [`Config::as_plain_llama`].
    pub plain_llama: bool,
    /// The byte layout of a GGUF file's I2_S tensors; `None` to choose the plausible one.
    pub i2s_layout: Option<Layout>,
    /// The activation of the MLP; `None` to use the one that the files name.
    pub activation: Option<Activation>,
    /// Whether the float weights of a folder without a `quantization_config` are the masters of a BitNet.
    pub as_bitnet: bool,
    /// The arithmetic of full-precision weights.
    pub arithmetic: Arithmetic,
}

/// The place where the files of a model are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    BuiltIn(String),
    Folder(PathBuf),
    Gguf(PathBuf),
}

/// A model that was found by name. Its weights are not yet read.
#[derive(Clone, Debug)]
pub struct Source {
    place: Place,
    /// The model's name, without [`PLAIN_LLAMA_MARK`].
    name: String,
    /// The name or path that the user gave.
    asked: String,
    loading: Loading,
}

impl Source {
    /// Finds a built-in model by name in any case, a Hugging Face folder, a `.gguf` file, or a model of the
    /// hub as `organisation/name[@revision]`, which is downloaded unless it is in the hub's cache.
    ///
    /// # Errors
    /// Returns an error if `model` is not found, the folder is incomplete, or the download fails.
    pub fn find(model: &str) -> Result<Source> {
        Source::find_with(model, Loading::default(), &Silent)
    }

    /// Finds a model as [`Source::find`] does, with options for reading it. Downloads are reported to
    /// `progress`.
    ///
    /// # Errors
    /// Fails as [`Source::find`] does.
    pub fn find_with(model: &str, loading: Loading, progress: &dyn Progress) -> Result<Source> {
        let place = find(model, progress)?;
        Ok(Source { place, name: Names::new(model).short().into(), asked: model.into(), loading })
    }

    /// Returns the same model under another name; see [`crate::distinct_names`].
    #[must_use]
    pub fn named(self, name: &str) -> Source {
        Source { name: name.to_owned(), ..self }
    }

    /// The model's name in every row, with [`PLAIN_LLAMA_MARK`] if it runs as a plain Llama.
    pub fn name(&self) -> String {
        let mark = if self.loading.plain_llama { PLAIN_LLAMA_MARK } else { "" };
        format!("{}{mark}", self.name)
    }

    /// Whether both sources are the same files, regardless of how they are read and of how their path is
    /// spelled.
    pub fn has_files_of(&self, other: &Source) -> bool {
        match (&self.place, &other.place) {
            (Place::BuiltIn(name), Place::BuiltIn(other)) => name == other,
            (Place::Folder(path) | Place::Gguf(path), Place::Folder(other) | Place::Gguf(other)) => {
                path == other
                    || matches!((path.canonicalize(), other.canonicalize()), (Ok(a), Ok(b)) if a == b)
            }
            _ => false,
        }
    }

    /// The name that the model has alone, with [`PLAIN_LLAMA_MARK`] if it runs as a plain Llama.
    pub fn short_name(&self) -> String {
        let source = Source { name: Names::new(&self.asked).short().into(), ..self.clone() };
        source.name()
    }

    /// The arithmetic of full-precision weights.
    pub(crate) fn arithmetic(&self) -> Arithmetic {
        self.loading.arithmetic
    }

    /// Returns the options that change what the files compute, as text; empty if there are no such options.
    pub(crate) fn reading(&self) -> String {
        let Loading { plain_llama, i2s_layout, activation, as_bitnet, arithmetic } = self.loading;
        let form = plain_llama.then(|| PLAIN_LLAMA_MARK.to_owned());
        let layout = i2s_layout.map(|layout| format!("{layout:?}"));
        let activation = activation.map(|activation| format!("{activation:?}"));
        let masters = as_bitnet.then(|| "masters".to_owned());
        let arithmetic = (arithmetic == Arithmetic::Bf16).then(|| "bf16".to_owned());
        [form, layout, activation, masters, arithmetic].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// The name or path that the user gave.
    pub fn asked(&self) -> &str {
        &self.asked
    }

    /// Returns a sentence without a full stop: what a model with this configuration has, in which form it
    /// runs, and which file or folder it is read from.
    pub fn description(&self, config: &Config) -> String {
        let place = match &self.place {
            Place::BuiltIn(_) => "this program, which contains it".to_owned(),
            Place::Folder(path) => format!("the folder {}", path.display()),
            Place::Gguf(path) => format!("the file {}", path.display()),
        };
        let weights = match config.weights {
            WeightFormat::Packed(_) => "packed ternary weights",
            WeightFormat::Masters => "full-precision masters of ternary weights",
            WeightFormat::TernaryFloats => "ternary weights that are stored as floats",
            WeightFormat::Floats => "full-precision weights",
        };
        let form = if config.plain_llama { ", runs as a plain Llama," } else { "" };
        let (name, layers) = (self.name(), config.num_hidden_layers);
        format!("{name} has {layers} layers with {weights}{form} and is read from {place}")
    }

    /// Whether the files are compiled into this program.
    pub fn is_built_in(&self) -> bool {
        matches!(self.place, Place::BuiltIn(_))
    }

    /// The model's folder; `None` if the model is built in or a single file.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::BuiltIn(_) | Place::Gguf(_) => None,
        }
    }

    /// Opens the checkpoint. The weights of files are memory-mapped.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or is invalid, or if an I2_S layout is given for a model
    /// that is not a GGUF file.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let options = ReadOptions { i2s_layout: self.loading.i2s_layout, as_bitnet: self.loading.as_bitnet };
        let is_gguf = matches!(self.place, Place::Gguf(_));
        if !is_gguf && options.i2s_layout.is_some() {
            return Err(Error::LayoutOfFolder { asked: self.asked.clone() });
        }
        let checkpoint = match &self.place {
            Place::BuiltIn(name) => {
                let config = String::from_utf8_lossy(embedded(name, "config.json")?);
                Checkpoint::from_bytes(&config, embedded(name, "model.safetensors")?.to_vec())?
            }
            Place::Folder(path) | Place::Gguf(path) => Checkpoint::open_with(path, &options)?,
        };
        let checkpoint = match self.loading.activation {
            Some(activation) => checkpoint.with_activation(activation),
            None => checkpoint,
        };
        if !self.loading.plain_llama {
            return Ok(checkpoint);
        }
        if checkpoint.config().weights == WeightFormat::Floats {
            return Err(Error::PlainControl { asked: self.asked.clone() });
        }
        Ok(checkpoint.as_plain_llama())
    }

    /// Returns the tokenizer that came with the weights; `None` if none came with them.
    ///
    /// # Errors
    /// Returns an error if the tokenizer cannot be read or belongs to another model.
    pub fn tokenizer(&self, checkpoint: &Checkpoint) -> Result<Option<Tokenizer>> {
        match checkpoint.gguf() {
            Some(gguf) if gguf.has_vocabulary() => {
                let vocabulary = vocabulary::from_gguf(gguf.vocabulary()?);
                let options = tokenizer_options(checkpoint.config());
                Ok(Some(Tokenizer::from_vocabulary(vocabulary, gguf.file(), &options)?))
            }
            Some(_) => Ok(None),
            None => self.tokenizer_for(checkpoint.config()),
        }
    }

    /// Does the same as [`Source::tokenizer`] for a model whose checkpoint is no longer open. Only that of a
    /// GGUF file is opened again, because it holds the vocabulary.
    ///
    /// # Errors
    /// Fails as [`Source::tokenizer`] does.
    pub(crate) fn tokenizer_for(&self, config: &Config) -> Result<Option<Tokenizer>> {
        let options = tokenizer_options(config);
        match &self.place {
            Place::BuiltIn(name) => {
                let bytes = embedded(name, "tokenizer.json")?;
                Ok(Some(Tokenizer::from_json_bytes(bytes, "tokenizer.json", &options)?))
            }
            Place::Folder(folder) => Ok(Tokenizer::from_folder(folder, &options)?),
            Place::Gguf(_) => self.tokenizer(&self.checkpoint()?),
        }
    }

    /// Returns the text of the chat template, for writing it into a GGUF file; `None` if the model is not a
    /// folder, or if the folder has no template.
    ///
    /// # Errors
    /// Returns an error if a file that may hold a template is damaged.
    pub fn chat_template(&self) -> Result<Option<String>> {
        Ok(match &self.place {
            Place::Folder(folder) => Chat::from_folder(folder)?.map(|chat| chat.template().into()),
            Place::BuiltIn(_) | Place::Gguf(_) => None,
        })
    }

    /// Returns the chat template that came with the weights. If none came with them and the model has the
    /// architecture and the special tokens of BitNet-b1.58-2B-4T, returns the template of BitNet-b1.58-2B-4T.
    ///
    /// # Errors
    /// Returns an error if there is no template or it is damaged.
    pub fn chat(&self, tokenizer: &Tokenizer) -> Result<Chat> {
        let (found, architecture) = match &self.place {
            Place::BuiltIn(_) => {
                return Err(Error::NoChat { model: self.name.clone() });
            }
            Place::Folder(folder) => (Chat::from_folder(folder)?, self.checkpoint()?.config().architecture),
            Place::Gguf(_) => {
                let checkpoint = self.checkpoint()?;
                let template = checkpoint.gguf().map(|gguf| gguf.vocabulary()).transpose()?;
                let special = tokenizer.special_ids();
                let names = [("bos_token", special.bos), ("eos_token", special.eos)];
                let tokens: Vec<(&str, String)> =
                    names.iter().filter_map(|(name, id)| Some((*name, tokenizer.token((*id)?)?))).collect();
                let tokens: Vec<(&str, &str)> =
                    tokens.iter().map(|(name, token)| (*name, token.as_str())).collect();
                let chat = template
                    .and_then(|vocabulary| vocabulary.chat_template)
                    .map(|template| Chat::from_gguf(&template, &checkpoint.file(), &tokens));
                (chat.transpose()?, checkpoint.config().architecture)
            }
        };
        match found {
            Some(chat) => Ok(chat),
            None if architecture == Architecture::BitNet && tokenizer.id(TURN_END).is_some() => {
                Ok(Chat::bitnet_2b_4t())
            }
            None => Err(Error::NoChatTemplate { model: self.name.clone() }),
        }
    }

    /// Checks that the model of an opened checkpoint can be loaded, with at most one layer in memory. It need
    /// not have a tokenizer.
    ///
    /// # Errors
    /// Fails as [`Source::open`] does.
    pub fn check(&self, checkpoint: &Checkpoint) -> Result<()> {
        Model::check_weights(checkpoint)?;
        self.check_padding(checkpoint)
    }

    /// Loads the model.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or is invalid.
    pub fn open(&self) -> Result<LoadedModel> {
        LoadedModel::load(self.clone())
    }

    /// Returns the entry of a manifest that names the files of the model, with their hashes.
    ///
    /// # Errors
    /// Returns an error if a file can no longer be read.
    pub fn entry(&self) -> Result<ModelEntry> {
        let files = match &self.place {
            Place::BuiltIn(name) => BUILT_IN
                .iter()
                .map(|file| Ok(FileHash::from_bytes(*file, embedded(name, file)?)))
                .collect::<Result<Vec<_>>>()?,
            Place::Gguf(path) => {
                let parts = gguf::parts(path)?;
                parts.iter().map(|part| Ok(FileHash::from_file(part)?)).collect::<Result<_>>()?
            }
            Place::Folder(folder) => {
                let files = model_files(folder)?;
                files.iter().map(|path| Ok(FileHash::from_file(path)?)).collect::<Result<_>>()?
            }
        };
        let source = match self.place {
            Place::BuiltIn(_) => "built-in",
            Place::Folder(_) | Place::Gguf(_) => &self.asked,
        };
        Ok(ModelEntry { name: self.name(), source: source.into(), files })
    }
}

/// Returns the tokenizer, or an error about the model called `model`.
///
/// # Errors
/// Returns an error that says what to do if `tokenizer` is `None`.
pub fn required<'t>(tokenizer: Option<&'t Tokenizer>, model: &str) -> Result<&'t Tokenizer> {
    tokenizer.ok_or_else(|| Error::NoTokenizer { model: model.into() })
}

/// Returns the properties of a model that its tokenizer must fit.
pub fn tokenizer_options(config: &Config) -> bitkv_tokenizer::TokenizerOptions {
    bitkv_tokenizer::TokenizerOptions { bos: config.bos_token_id, vocab_size: config.vocab_size }
}

fn find(model: &str, progress: &dyn Progress) -> Result<Place> {
    let path = Path::new(model);
    // A folder takes precedence over a built-in name that is given in another case.
    if let Some(name) = built_in_name(model).filter(|name| *name == model || !path.exists()) {
        return Ok(Place::BuiltIn(name.into()));
    }
    if path.exists() && !path.is_dir() {
        let is_gguf = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(GGUF));
        return if is_gguf {
            // All parts of a split model have the place of the first.
            Ok(Place::Gguf(split_gguf(path).map_or_else(|| path.into(), |(first, _)| first)))
        } else {
            Err(Error::NotAModel { asked: model.into() })
        };
    }
    if path.is_dir() {
        folder::check(model, path)?;
        return Ok(Place::Folder(path.into()));
    }
    if !is_hub_name(model) {
        let asked = model.to_owned();
        return Err(match published_id(model) {
            Some(id) => Error::OnlyConfiguration { asked, id },
            None => Error::UnknownModel { asked, built_in: built_in().join(", ") },
        });
    }
    let id = ModelId::parse(model).map_err(|error| hub_error(model, error))?;
    let fetched = bitkv_hub::fetch(&id, &Settings::from_env()?, progress);
    let found = fetched.map_err(|error| hub_error(model, error))?;
    Ok(if found.is_file() { Place::Gguf(found) } else { Place::Folder(found) })
}

/// Whether a model that is not a file here can be one of the hub. A name that looks like a path was meant as
/// a path.
fn is_hub_name(model: &str) -> bool {
    model.contains('/') && !model.starts_with(['/', '.', '~'])
}

/// Returns whether finding a model may download it, because it is on the hub.
pub fn may_download(model: &str) -> bool {
    !Path::new(model).exists() && is_hub_name(model)
}

/// Returns the first part and the name of a split GGUF model, if `path` is one of its parts.
pub(crate) fn split_gguf(path: &Path) -> Option<(PathBuf, String)> {
    // Opening the checkpoint says what is wrong with a file that cannot be read.
    let parts = gguf::parts(path).unwrap_or_default();
    let file_name = path.file_name()?.to_str()?;
    let (name, ..) = bitkv_bytes::part_name(file_name).filter(|_| parts.len() > 1)?;
    Some((parts[0].clone(), name.into()))
}

/// Returns the error about a name that is neither a path here nor a model that the hub can give. The name may
/// have been meant as a path, so the message says first that there is no such path.
fn hub_error(model: &str, error: bitkv_hub::Error) -> Error {
    let asked = model.to_owned();
    match error {
        bitkv_hub::Error::ModelId { reason, .. } => Error::HubName { asked, reason },
        bitkv_hub::Error::NotCached { .. }
        | bitkv_hub::Error::Unreachable { .. }
        | bitkv_hub::Error::Denied { .. }
        | bitkv_hub::Error::NotFound { .. } => Error::NotOnHub { asked, source: Box::new(error) },
        other => other.into(),
    }
}

fn embedded(name: &str, file: &str) -> Result<&'static [u8]> {
    let path = format!("{name}/{file}");
    MODELS.get_file(&path).map(|f| f.contents()).ok_or(Error::NotBuiltIn { file: path })
}

/// Returns the files of a folder that can affect rows, sorted by name. A chat template cannot, because no row
/// is measured on chats.
fn model_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |source| Error::Read { path: folder.into(), source };
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let reads_added = !folder.join("tokenizer.json").exists();
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let affects_results = ["config.json", "generation_config.json"].contains(&name.as_str())
            || name.starts_with("tokenizer")
            || reads_added && ADDED_TOKENS.contains(&name.as_str())
            || name.ends_with(".safetensors")
            || name.ends_with(".safetensors.index.json");
        if affects_results && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
