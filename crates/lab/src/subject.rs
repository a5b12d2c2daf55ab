//! The model under test: built in, or from a folder.

use std::path::Path;

use anyhow::{Context, Result, bail};
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

impl Subject {
    /// Opens a built-in model by name, or a Hugging Face folder.
    ///
    /// # Errors
    /// When there is no such model, or as the loaders say.
    pub fn open(model: &str) -> Result<Subject> {
        if built_in().contains(&model) {
            return Subject::embedded(model);
        }
        let path = Path::new(model);
        if path.is_dir() {
            return Subject::from_folder(path);
        }
        if path.is_file() {
            bail!(
                "{model} is a file, and only folders with config.json and model.safetensors can be read: name the folder"
            );
        }
        bail!(
            "there is no model {model}: use {} or a folder with config.json and model.safetensors",
            built_in().join(", ")
        )
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

    fn from_folder(folder: &Path) -> Result<Subject> {
        let checkpoint = Checkpoint::open(folder)?;
        let file = folder.join("tokenizer.json");
        let tokenizer =
            if file.exists() { Some(Tokenizer::from_file(&file, checkpoint.config())?) } else { None };
        let name =
            folder.file_name().map_or_else(|| folder.display().to_string(), |n| n.to_string_lossy().into());
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
                "{} has no tokenizer.json: put one beside its weights or give token ids with --tokens",
                self.name
            )
        })
    }
}
