//! A model that is ready to run.

use std::time::Instant;

use bitkv_bitnet::{Config, Model};
use bitkv_record::ModelEntry;
use bitkv_tokenizer::{Chat, Tokenizer};

use crate::{Result, Source, source::required};

/// A loaded model and where it came from.
pub struct LoadedModel {
    /// Name in every row.
    pub name: String,
    /// The weights.
    pub model: Model,
    /// The tokenizer, when there is one.
    pub tokenizer: Option<Tokenizer>,
    /// How long the model took to load, its tokenizer aside.
    pub load_seconds: f64,
    source: Source,
}

impl LoadedModel {
    /// Opens a model by name; see [`Source::find`].
    ///
    /// # Errors
    /// As [`Source::find`] and the loaders say.
    pub fn open(model: &str) -> Result<LoadedModel> {
        Source::find(model)?.open()
    }

    pub(crate) fn load(source: Source) -> Result<LoadedModel> {
        let started = Instant::now();
        let checkpoint = source.checkpoint()?;
        let model = Model::load(&checkpoint)?;
        let load_seconds = started.elapsed().as_secs_f64();
        let tokenizer = source.tokenizer(&checkpoint)?;
        Ok(LoadedModel { name: source.name(), model, tokenizer, load_seconds, source })
    }

    /// The same under another name in every row.
    #[must_use]
    pub fn named(self, name: String) -> LoadedModel {
        LoadedModel { name, ..self }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        self.model.config()
    }

    /// Where it came from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// For a manifest: the model's files with their hashes.
    ///
    /// # Errors
    /// When a file cannot be read any more.
    pub fn entry(&self) -> Result<ModelEntry> {
        self.source.entry()
    }

    /// The model's chat template, or a sentence that says that there is none.
    pub fn chat(&self) -> Result<Chat> {
        self.source.chat(self.tokenizer()?)
    }

    /// The tokenizer, or a sentence that says what to do without one.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        required(self.tokenizer.as_ref(), &self.name)
    }
}
