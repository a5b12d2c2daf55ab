//! A [`Window`] holds the first tokens of a text, which one measurement reads.

use bitkv_record::Text;

use bitkv_models::LoadedModel;

use crate::{
    Result,
    error::{Place as _, ensure},
};

/// The first tokens of a text, including the beginning-of-sequence token.
#[derive(Clone, Debug)]
pub struct Window {
    /// The name of the text.
    pub name: String,
    /// The register of the text, such as prose or code.
    pub register: String,
    /// The token ids.
    pub tokens: Vec<u32>,
}

impl Window {
    /// Returns the first `length` tokens of `text`.
    ///
    /// # Errors
    /// Returns an error if the text is shorter than `length` tokens or the model has no tokenizer.
    pub fn new(loaded: &LoadedModel, text: &Text, length: usize) -> Result<Window> {
        let mut tokens = loaded.tokenizer()?.encode(&text.content)?;
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

    /// Returns the first `length` tokens of each text.
    ///
    /// # Errors
    /// Fails as [`Window::new`] does.
    pub fn all(loaded: &LoadedModel, texts: &[&Text], length: usize) -> Result<Vec<Window>> {
        texts.iter().map(|text| Window::new(loaded, text, length)).collect()
    }
}

/// Returns the number of UTF-8 bytes of the text that `tokens` decode to.
///
/// # Errors
/// Returns an error if the tokenizer fails.
pub fn decoded_bytes(loaded: &LoadedModel, tokens: &[u32]) -> Result<usize> {
    let text = loaded.tokenizer()?.decode(tokens).at("cannot decode the scored tokens")?;
    Ok(text.len())
}
