//! Where a model comes from: built in, a folder, a GGUF file, or the hub.

use std::path::{Path, PathBuf};

use bitkv_checkpoint::{Architecture, Checkpoint, Config, codec::i2s::Layout, gguf::Options};
use bitkv_hub::{ModelId, Settings};
use bitkv_progress::{Progress, Silent};
use bitkv_record::{FileHash, ModelEntry};
use bitkv_tokenizer::{Chat, Tokenizer};
use include_dir::{Dir, include_dir};

use crate::{Error, LoadedModel, Result, vocabulary};

static MODELS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../models");

/// The files a built-in model is made of.
const BUILT_IN: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];

/// What the template of BitNet-b1.58-2B-4T ends every turn with.
const TURN_END: &str = "<|eot_id|>";

/// After the name of a model that runs as a plain Llama, so that no row can be taken for the true model's.
pub const PLAIN_LLAMA_MARK: &str = "+plain-llama";

/// Names of the built-in models, in the order of reports.
pub fn built_in() -> Vec<&'static str> {
    let mut names: Vec<&str> = MODELS
        .dirs()
        .filter(|dir| dir.get_file(dir.path().join("model.safetensors")).is_some())
        .filter_map(|dir| dir.path().to_str())
        .collect();
    // Multi-head before grouped-query, as the claims are told.
    names.sort_by_key(|name| std::cmp::Reverse(*name));
    names
}

/// The built-in model of this name, in any case.
pub fn built_in_name(name: &str) -> Option<&'static str> {
    built_in().into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

/// How a model is to be read.
#[derive(Clone, Debug, Default)]
pub struct Loading {
    /// As a plain Llama; see [`Config::as_plain_llama`].
    pub plain_llama: bool,
    /// The byte layout of a GGUF file's I2_S tensors; found by plausibility when it is not given.
    pub i2s_layout: Option<Layout>,
}

/// Where the files of a model lie.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    BuiltIn(String),
    Folder(PathBuf),
    Gguf(PathBuf),
}

/// Where a model comes from; none of its weights are read yet.
#[derive(Clone, Debug)]
pub struct Source {
    place: Place,
    /// The model's name without marks.
    name: String,
    /// What the user called it.
    asked: String,
    loading: Loading,
}

impl Source {
    /// Finds a built-in model by name in any case, a Hugging Face folder, a `.gguf` file, or a model of the hub as
    /// `organisation/name[@revision]`, which is downloaded unless it is in the hub's cache.
    ///
    /// # Errors
    /// When there is none of these.
    pub fn find(model: &str) -> Result<Source> {
        Source::find_with(model, Loading::default(), &Silent)
    }

    /// [`Source::find`], to be read in another way than it says. `progress` hears of downloads.
    ///
    /// # Errors
    /// As [`Source::find`].
    pub fn find_with(model: &str, loading: Loading, progress: &dyn Progress) -> Result<Source> {
        let (place, name) = find(model, progress)?;
        Ok(Source { place, name, asked: model.into(), loading })
    }

    /// The model's name in every row, with a mark if it runs as a plain Llama.
    pub fn name(&self) -> String {
        let mark = if self.loading.plain_llama { PLAIN_LLAMA_MARK } else { "" };
        format!("{}{mark}", self.name)
    }

    /// Whether both have the same files, however they are read.
    pub fn has_files_of(&self, other: &Source) -> bool {
        self.place == other.place
    }

    /// What the user called it.
    pub fn asked(&self) -> &str {
        &self.asked
    }

    /// The folder, unless the model is built in or a single file.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::BuiltIn(_) | Place::Gguf(_) => None,
        }
    }

    /// Opens the checkpoint; weights are mapped.
    ///
    /// # Errors
    /// As the readers say.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let options = Options { i2s_layout: self.loading.i2s_layout };
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
        Ok(if self.loading.plain_llama { checkpoint.as_plain_llama() } else { checkpoint })
    }

    /// The tokenizer that came with the weights, if one did.
    ///
    /// # Errors
    /// When it cannot be read or is of another model.
    pub fn tokenizer(&self, checkpoint: &Checkpoint) -> Result<Option<Tokenizer>> {
        let options = tokenizer_options(checkpoint.config());
        match &self.place {
            Place::BuiltIn(name) => {
                let bytes = embedded(name, "tokenizer.json")?;
                Ok(Some(Tokenizer::from_json_bytes(bytes, "tokenizer.json", &options)?))
            }
            Place::Folder(folder) => Ok(Tokenizer::from_folder(folder, &options)?),
            Place::Gguf(_) => match checkpoint.gguf() {
                Some(gguf) if gguf.has_vocabulary() => {
                    let vocabulary = vocabulary::of_gguf(gguf.vocabulary()?);
                    Ok(Some(Tokenizer::from_vocabulary(vocabulary, gguf.file(), &options)?))
                }
                _ => Ok(None),
            },
        }
    }

    /// The text of the folder's chat template, for a GGUF file.
    ///
    /// # Errors
    /// When a file that may hold one is damaged.
    pub fn chat_template(&self) -> Result<Option<String>> {
        Ok(match &self.place {
            Place::Folder(folder) => Chat::from_folder(folder)?.map(|chat| chat.template().into()),
            Place::BuiltIn(_) | Place::Gguf(_) => None,
        })
    }

    /// The chat template that came with the weights, or that of BitNet-b1.58-2B-4T for models of its architecture
    /// with its special tokens.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
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

    /// Loads the model.
    ///
    /// # Errors
    /// As the loaders say.
    pub fn open(&self) -> Result<LoadedModel> {
        LoadedModel::load(self.clone())
    }

    /// For a manifest: the model's files with their hashes.
    ///
    /// # Errors
    /// When a file cannot be read any more.
    pub fn entry(&self) -> Result<ModelEntry> {
        let files = match &self.place {
            Place::BuiltIn(name) => BUILT_IN
                .iter()
                .map(|file| Ok(FileHash::from_bytes(*file, embedded(name, file)?)))
                .collect::<Result<Vec<_>>>()?,
            Place::Gguf(path) => vec![FileHash::from_file(path)?],
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

/// The tokenizer that came with the model called `model`.
///
/// # Errors
/// When none did, with what to do about it.
pub fn required<'t>(tokenizer: Option<&'t Tokenizer>, model: &str) -> Result<&'t Tokenizer> {
    tokenizer.ok_or_else(|| Error::NoTokenizer { model: model.into() })
}

/// What a model's tokenizer has to fit.
pub fn tokenizer_options(config: &Config) -> bitkv_tokenizer::Options {
    bitkv_tokenizer::Options { bos: config.bos_token_id, vocab_size: config.vocab_size }
}

fn find(model: &str, progress: &dyn Progress) -> Result<(Place, String)> {
    let path = Path::new(model);
    // In another case than its own, a name may be that of a folder.
    if let Some(name) = built_in_name(model).filter(|name| *name == model || !path.exists()) {
        return Ok((Place::BuiltIn(name.into()), name.into()));
    }
    let name = path.file_name().map_or_else(|| model.to_string(), |n| n.to_string_lossy().into());
    if path.is_file() {
        let Some(stem) = name.strip_suffix(".gguf") else {
            return Err(Error::NotAModel { asked: model.into() });
        };
        return Ok((Place::Gguf(path.into()), stem.into()));
    }
    if path.is_dir() {
        check_folder(model, path)?;
        return Ok((Place::Folder(path.into()), name));
    }
    // Whatever looks like a path was meant as one.
    if !model.contains('/') || model.starts_with(['/', '.', '~']) {
        return Err(Error::UnknownModel { asked: model.into(), built_in: built_in().join(", ") });
    }
    let id = ModelId::parse(model)
        .map_err(|source| Error::HubName { built_in: built_in().join(", "), source: Box::new(source) })?;
    let found = bitkv_hub::fetch(&id, &Settings::from_env()?, progress)?;
    let name = id.repository().rsplit('/').next().unwrap_or_default().to_string();
    Ok(if found.is_file() { (Place::Gguf(found), name) } else { (Place::Folder(found), name) })
}

fn check_folder(model: &str, folder: &Path) -> Result<()> {
    let has = |file: &str| folder.join(file).is_file();
    let weights = has("model.safetensors") || has("model.safetensors.index.json");
    let lacking = match (has("config.json"), weights) {
        (true, true) => return Ok(()),
        (false, _) => "config.json",
        (true, false) => "model.safetensors",
    };
    Err(Error::IncompleteFolder { folder: model.into(), file: lacking })
}

fn embedded(name: &str, file: &str) -> Result<&'static [u8]> {
    let path = format!("{name}/{file}");
    MODELS.get_file(&path).map(|f| f.contents()).ok_or(Error::NotBuiltIn { file: path })
}

/// What of a folder decides about results, by name.
fn model_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |source| Error::Read { path: folder.into(), source };
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let counts = ["config.json", "generation_config.json"].contains(&name.as_str())
            || name.starts_with("tokenizer")
            || name.ends_with(".safetensors")
            || name.ends_with(".safetensors.index.json");
        if counts && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
