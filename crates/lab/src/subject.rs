//! The model under test: built in, or from a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use bitkv_bitnet::{Checkpoint, Config, Model, Tokenizer};
use bitkv_record::{FileHash, ModelEntry};
use include_dir::{Dir, include_dir};

static MODELS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../models");

/// The files a model is made of.
const FILES: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];

/// A loaded model and where it came from.
pub struct Subject {
    /// Name in every row.
    pub name: String,
    /// The weights.
    pub model: Model,
    /// The tokenizer, when there is one.
    pub tokenizer: Option<Tokenizer>,
    /// For the manifest.
    pub entry: ModelEntry,
}

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

/// Where a model comes from; nothing of it is read yet.
#[derive(Clone, Debug)]
pub enum Source {
    /// Compiled in, under this name.
    BuiltIn(String),
    /// A Hugging Face folder.
    Folder(PathBuf),
}

impl Source {
    /// Finds a built-in model by name, or a folder that holds a model's files.
    ///
    /// # Errors
    /// When there is neither.
    pub fn find(model: &str) -> Result<Source> {
        if built_in().contains(&model) {
            return Ok(Source::BuiltIn(model.into()));
        }
        let path = Path::new(model);
        if path.is_file() {
            bail!(
                "{model} is a file, and only folders with config.json and model.safetensors can be read: name the folder"
            );
        }
        ensure!(
            path.is_dir(),
            "there is no model '{model}': use {} or a folder with config.json and model.safetensors",
            built_in().join(", ")
        );
        if let Some(lacking) = FILES[..2].iter().find(|file| !path.join(file).is_file()) {
            bail!("{model} has no {lacking}: a model's folder holds config.json and model.safetensors");
        }
        Ok(Source::Folder(path.into()))
    }

    /// The model's name in every row.
    pub fn name(&self) -> String {
        match self {
            Source::BuiltIn(name) => name.clone(),
            Source::Folder(path) => {
                path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into())
            }
        }
    }

    /// Loads the model.
    ///
    /// # Errors
    /// As the loaders say.
    pub fn open(&self) -> Result<Subject> {
        match self {
            Source::BuiltIn(name) => Subject::embedded(name),
            Source::Folder(path) => Subject::from_folder(path, self.name()),
        }
    }
}

impl Subject {
    /// Opens a built-in model by name, or a Hugging Face folder.
    ///
    /// # Errors
    /// As [`Source::find`] and [`Source::open`].
    pub fn open(model: &str) -> Result<Subject> {
        Source::find(model)?.open()
    }

    fn embedded(name: &str) -> Result<Subject> {
        let read = |file: &str| {
            let path = format!("{name}/{file}");
            MODELS.get_file(&path).map(|f| f.contents()).with_context(|| format!("{path} is not built in"))
        };
        let config = std::str::from_utf8(read("config.json")?)?;
        let checkpoint = Checkpoint::from_bytes(config, read("model.safetensors")?.to_vec())?;
        let tokenizer = Tokenizer::from_bytes(read("tokenizer.json")?, checkpoint.config())?;
        let hash = |file: &str| Ok(FileHash::of_bytes(file, read(file)?));
        let files = FILES.iter().map(|file| hash(file)).collect::<Result<_>>()?;
        Ok(Subject {
            name: name.into(),
            model: Model::load(&checkpoint)?,
            tokenizer: Some(tokenizer),
            entry: ModelEntry { name: name.into(), source: "built-in".into(), files },
        })
    }

    fn from_folder(folder: &Path, name: String) -> Result<Subject> {
        let checkpoint = Checkpoint::open(folder)?;
        let file = folder.join("tokenizer.json");
        let tokenizer =
            if file.exists() { Some(Tokenizer::from_file(&file, checkpoint.config())?) } else { None };
        let present = FILES.iter().map(|file| folder.join(file)).filter(|path| path.exists());
        let files = present.map(|path| FileHash::of_file(&path)).collect::<Result<_, _>>()?;
        Ok(Subject {
            model: Model::load(&checkpoint)?,
            tokenizer,
            entry: ModelEntry { name: name.clone(), source: folder.display().to_string(), files },
            name,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        self.model.config()
    }

    /// The tokenizer, or a sentence that says what to do without one.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.tokenizer.as_ref().with_context(|| {
            format!(
                "{} has no tokenizer.json: put one beside its weights, or use a command that takes --tokens",
                self.name
            )
        })
    }
}
