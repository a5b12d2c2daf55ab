//! Text to token ids and back, by a `tokenizer.json`.

use std::path::Path;

use bitkv_checkpoint::Config;

use crate::{Error, Result};

/// A tokenizer that fits a model.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    file: String,
    bos: Option<u32>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// When it cannot be read, is not a tokenizer, or has ids that the model has not.
    pub fn from_file(path: impl AsRef<Path>, config: &Config) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
        Tokenizer::build(&bytes, path.display().to_string(), config)
    }

    /// The same from memory.
    ///
    /// # Errors
    /// As [`Tokenizer::from_file`].
    pub fn from_bytes(bytes: &[u8], config: &Config) -> Result<Self> {
        Tokenizer::build(bytes, "tokenizer.json".into(), config)
    }

    fn build(bytes: &[u8], file: String, config: &Config) -> Result<Self> {
        let inner = tokenizers::Tokenizer::from_bytes(bytes)
            .map_err(|e| Error::Tokenizer { file: file.clone(), reason: e.to_string() })?;
        let vocab_size = config.vocab_size;
        match inner.get_vocab(true).into_values().max() {
            Some(largest) if largest as usize >= vocab_size => {
                Err(Error::TokenizerVocabulary { file, largest, vocab_size })
            }
            _ => Ok(Tokenizer { inner, file, bos: config.bos_token_id }),
        }
    }

    fn failed(&self, e: impl std::fmt::Display) -> Error {
        Error::Tokenizer { file: self.file.clone(), reason: e.to_string() }
    }

    /// The ids of a text. With `bos`, the model's first token comes first, exactly once.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode(&self, text: &str, bos: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false).map_err(|e| self.failed(e))?;
        let first = self.bos.filter(|id| bos && encoding.get_ids().first() != Some(id));
        Ok(first.into_iter().chain(encoding.get_ids().iter().copied()).collect())
    }

    /// The text of ids, special tokens left out.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|e| self.failed(e))
    }

    /// The id of a token, if there is one.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Text from ids as they come.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream { tokenizer: self, ids: Vec::new(), shown: String::new() }
    }
}

/// Turns ids into text piece by piece; a piece ends only where a character does.
///
/// The pieces together equal [`Tokenizer::decode`] of all ids, except that some tokenizers treat the very
/// start of a text in their own way.
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    /// Ids whose text may still change: the last finished piece, as context, and what is new.
    ids: Vec<u32>,
    /// Text of the context.
    shown: String,
}

impl TextStream<'_> {
    /// Takes an id; returns the text that it completes, which may be empty.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids)?;
        // A replacement character at the end is a character whose bytes have not all come.
        if text.ends_with('\u{FFFD}') || !text.starts_with(&self.shown) {
            return Ok(String::new());
        }
        let new = text[self.shown.len()..].to_string();
        if !new.is_empty() {
            self.ids.drain(..self.ids.len() - 1);
            self.shown = self.tokenizer.decode(&self.ids)?;
            if self.shown.ends_with('\u{FFFD}') {
                // The last id alone is not a whole character: keep all that was decoded as context.
                self.ids.clear();
                self.shown.clear();
            }
        }
        Ok(new)
    }

    /// What is left when no more ids come, such as an unfinished character.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn finish(self) -> Result<String> {
        let text = self.tokenizer.decode(&self.ids)?;
        Ok(text.strip_prefix(&self.shown).unwrap_or(&text).to_string())
    }
}
