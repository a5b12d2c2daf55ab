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
    /// The number of tokens of the whole text.
    pub text_tokens: usize,
}

impl Window {
    /// Returns all tokens of `text`.
    ///
    /// # Errors
    /// Returns an error if the model has no tokenizer, or the tokenizer fails.
    pub fn whole(loaded: &LoadedModel, text: &Text) -> Result<Window> {
        let tokenizer = loaded.tokenizer().at("models")?;
        let tokens = loaded.text_tokens(&text.entry.sha256, || tokenizer.encode(&text.content));
        let tokens = tokens.at(&text.entry.file)?;
        let (name, register) = (text.entry.name.clone(), text.entry.register.clone());
        Ok(Window { name, register, text_tokens: tokens.len(), tokens })
    }

    /// Returns the first `length` tokens of `text`.
    ///
    /// # Errors
    /// Returns an error if the text is shorter than `length` tokens, the model has no tokenizer, or the
    /// tokenizer fails.
    pub fn new(loaded: &LoadedModel, text: &Text, length: usize) -> Result<Window> {
        let mut window = Window::whole(loaded, text)?;
        ensure!(
            Unfit,
            window.text_tokens >= length,
            "{} has {} tokens and {length} are needed: use a longer text or a shorter context",
            text.entry.file,
            window.text_tokens
        );
        window.tokens.truncate(length);
        Ok(window)
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
