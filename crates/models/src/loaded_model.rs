//! A [`LoadedModel`] holds the weights and the tokenizer of a model, ready to run.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
    time::Instant,
};

use bitkv_bitnet::{Config, Model};
use bitkv_progress::{Progress, Silent};
use bitkv_record::{ModelEntry, sha256_of_parts};
use bitkv_tokenizer::{Chat, Tokenizer};

use crate::{Result, Source, padding, source::required};

/// A loaded model and where it came from.
pub struct LoadedModel {
    /// The name of the model in every row of a run.
    pub name: String,
    /// The weights.
    pub model: Model,
    /// The tokenizer, which is read when it is first needed; `None` if the model came without one.
    tokenizer: OnceLock<Option<Tokenizer>>,
    /// The time in seconds that the weights took to load, without the tokenizer.
    pub load_seconds: f64,
    /// What a user should know about the files, in whole sentences without a full stop. The caller prints
    /// them.
    pub notes: Vec<String>,
    /// The receiver of the tokenizer's notes.
    listener: &'static dyn Progress,
    source: Source,
    /// The entry of a manifest, which takes long to hash.
    entry: OnceLock<ModelEntry>,
    /// The tokens of texts that were tokenised, by the hash of the text.
    texts: Mutex<HashMap<String, Vec<u32>>>,
}

impl LoadedModel {
    /// Opens a model by name; see [`Source::find`].
    ///
    /// # Errors
    /// Returns an error if no such model is found or its files cannot be loaded.
    pub fn open(model: &str) -> Result<LoadedModel> {
        Source::find(model)?.open()
    }

    pub(crate) fn load(source: Source) -> Result<LoadedModel> {
        let started = Instant::now();
        let checkpoint = source.checkpoint()?;
        let model = Model::load(&checkpoint)?.with_arithmetic(source.arithmetic());
        let load_seconds = started.elapsed().as_secs_f64();
        let read = padding::checked_tokenizer(&source, &checkpoint)?;
        let tokenizer = read.map_or_else(OnceLock::new, |tokenizer| OnceLock::from(Some(tokenizer)));
        let (name, notes, entry) = (source.name(), checkpoint.notes().to_vec(), OnceLock::new());
        let (listener, texts) = (&Silent, Mutex::default());
        Ok(LoadedModel { name, model, tokenizer, load_seconds, notes, listener, source, entry, texts })
    }

    /// Returns the model with a listener that gets the tokenizer's notes, once, when the tokenizer is read.
    #[must_use]
    pub fn with_listener(self, listener: &'static dyn Progress) -> LoadedModel {
        report_notes(self.tokenizer.get().and_then(Option::as_ref), listener);
        LoadedModel { listener, ..self }
    }

    /// Returns the tokens of a text whose content has the hash `sha256`. `encode` computes them the first
    /// time.
    ///
    /// # Errors
    /// Returns the error of `encode`.
    pub fn text_tokens<E>(
        &self,
        sha256: &str,
        encode: impl FnOnce() -> std::result::Result<Vec<u32>, E>,
    ) -> std::result::Result<Vec<u32>, E> {
        let texts = || self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tokens) = texts().get(sha256) {
            return Ok(tokens.clone());
        }
        // The lock is not held meanwhile, so that several texts can be tokenised at once.
        let tokens = encode()?;
        texts().insert(sha256.to_owned(), tokens.clone());
        Ok(tokens)
    }

    /// Returns the model under another name, which every row then states.
    #[must_use]
    pub fn named(self, name: String) -> LoadedModel {
        LoadedModel { name, entry: OnceLock::new(), ..self }
    }

    /// Returns the [description](Source::description) of the source, with the time that reading took.
    pub fn description(&self) -> String {
        format!("{}, in {:.2} s", self.source.description(self.config()), self.load_seconds)
    }

    /// The configuration of the model.
    pub fn config(&self) -> &Config {
        self.model.config()
    }

    /// The source that the model was loaded from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the entry of a manifest that names the files of the model, with their hashes. The files are
    /// hashed once.
    ///
    /// # Errors
    /// Returns an error if a file can no longer be read.
    pub fn entry(&self) -> Result<ModelEntry> {
        if let Some(entry) = self.entry.get() {
            return Ok(entry.clone());
        }
        let entry = ModelEntry { name: self.name.clone(), ..self.source.entry()? };
        Ok(self.entry.get_or_init(|| entry).clone())
    }

    /// Returns a hash of everything that decides what the model computes for a text: its files, and how they
    /// are read.
    ///
    /// # Errors
    /// Returns an error if a file can no longer be read.
    pub fn content(&self) -> Result<String> {
        let content = self.entry()?.content();
        Ok(match self.source.reading() {
            reading if reading.is_empty() => content,
            reading => sha256_of_parts([content, reading]),
        })
    }

    /// Returns the chat template of the model.
    ///
    /// # Errors
    /// Returns an error if the model has no tokenizer or no chat template, or the template is damaged.
    pub fn chat(&self) -> Result<Chat> {
        self.source.chat(self.tokenizer()?)
    }

    /// Returns the tokenizer. It is read at the first call.
    ///
    /// # Errors
    /// Returns an error that says what to do if the model has no tokenizer, or if it cannot be used.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        required(self.found_tokenizer()?, &self.name)
    }

    /// Returns the tokenizer for showing texts; `None` if the model has none that can be used. Commands that
    /// get token ids need no tokenizer.
    pub fn tokenizer_if_usable(&self) -> Option<&Tokenizer> {
        self.found_tokenizer().ok().flatten()
    }

    fn found_tokenizer(&self) -> Result<Option<&Tokenizer>> {
        if let Some(tokenizer) = self.tokenizer.get() {
            return Ok(tokenizer.as_ref());
        }
        let tokenizer = self.source.tokenizer_for(self.config())?;
        let tokenizer = self.tokenizer.get_or_init(|| {
            report_notes(tokenizer.as_ref(), self.listener);
            tokenizer
        });
        Ok(tokenizer.as_ref())
    }
}

/// Sends the notes of a tokenizer to a listener.
pub(crate) fn report_notes(tokenizer: Option<&Tokenizer>, listener: &dyn Progress) {
    tokenizer.iter().flat_map(|tokenizer| tokenizer.notes()).for_each(|note| listener.note(note));
}
