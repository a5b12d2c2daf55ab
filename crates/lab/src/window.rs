//! A text as the tokens one measurement reads.

use bitkv_record::Text;

use bitkv_models::LoadedModel;

use crate::{
    Result,
    error::{Place as _, ensure},
};

/// The first tokens of a text, the beginning-of-sequence token included.
#[derive(Clone, Debug)]
pub struct Window {
    /// Name of the text.
    pub name: String,
    /// Its register.
    pub register: String,
    /// Token ids.
    pub tokens: Vec<u32>,
}

impl Window {
    /// The first `length` tokens of `text`.
    ///
    /// # Errors
    /// When the text is shorter or the model has no tokenizer.
    pub fn new(loaded: &LoadedModel, text: &Text, length: usize) -> Result<Window> {
        let mut tokens = loaded.tokenizer()?.encode(&text.content, true)?;
        ensure!(
            Unfit,
            tokens.len() >= length,
            "{} has {} tokens and {length} are needed: use a longer text or a shorter context",
            text.entry.file,
            tokens.len()
        );
        tokens.truncate(length);
        Ok(Window { name: text.entry.name.clone(), register: text.entry.register.clone(), tokens })
    }

    /// The first `length` tokens of each text.
    ///
    /// # Errors
    /// As [`Window::new`].
    pub fn all(loaded: &LoadedModel, texts: &[&Text], length: usize) -> Result<Vec<Window>> {
        texts.iter().map(|text| Window::new(loaded, text, length)).collect()
    }
}

/// UTF-8 bytes that `tokens` stand for.
///
/// # Errors
/// When the tokenizer fails.
pub fn bytes_of(loaded: &LoadedModel, tokens: &[u32]) -> Result<usize> {
    let text = loaded.tokenizer()?.decode(tokens).at("cannot decode the scored tokens")?;
    Ok(text.len())
}
