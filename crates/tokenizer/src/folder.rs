//! Finding the tokenizer of a model in its folder.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;
use tokenizers::AddedToken;

use crate::{Error, Options, Result, TokenType, Tokenizer, Vocabulary, sentencepiece, tiktoken};

impl Tokenizer {
    /// Reads a `tokenizer.json` or a `tokenizer.model` of either kind, told apart by what is in it.
    ///
    /// # Errors
    /// When it cannot be read, is no tokenizer of a known kind, or does not fit the model.
    pub fn from_file(path: impl AsRef<Path>, options: &Options) -> Result<Tokenizer> {
        let path = path.as_ref();
        Tokenizer::from_bytes_and(&read(path)?, BTreeMap::new(), &path.display().to_string(), options)
    }

    /// The tokenizer of a model's folder, if it has one: `tokenizer.json`, or else `tokenizer.model` with the
    /// tokens that `tokenizer_config.json` or `added_tokens.json` add to it.
    ///
    /// # Errors
    /// As [`Tokenizer::from_file`], for any of these files.
    pub fn from_folder(folder: impl AsRef<Path>, options: &Options) -> Result<Option<Tokenizer>> {
        let folder = folder.as_ref();
        let json = folder.join("tokenizer.json");
        if json.exists() {
            return Tokenizer::from_file(json, options).map(Some);
        }
        let model = folder.join("tokenizer.model");
        if !model.exists() {
            return Ok(None);
        }
        let (bytes, name) = (read(&model)?, model.display().to_string());
        Tokenizer::from_bytes_and(&bytes, more_tokens(folder)?, &name, options).map(Some)
    }

    fn from_bytes_and(
        bytes: &[u8],
        more: BTreeMap<u32, AddedToken>,
        file: &str,
        options: &Options,
    ) -> Result<Tokenizer> {
        let mut vocabulary = match bytes.trim_ascii_start().first() {
            Some(b'{') => return Tokenizer::from_json_bytes(bytes, file, options),
            _ if tiktoken::is_tiktoken(bytes) => tiktoken::vocabulary(bytes, file)?,
            _ => sentencepiece::vocabulary(bytes, file)?,
        };
        // Added tokens may rename the special ones.
        vocabulary.add(&more, file)?;
        Tokenizer::from_vocabulary_and(vocabulary, more, file, options)
    }
}

impl Vocabulary {
    /// Puts added tokens at their ids, over those that are there; gaps before them become unused ids.
    pub(crate) fn add(&mut self, more: &BTreeMap<u32, AddedToken>, file: &str) -> Result<()> {
        let limit = self.tokens.len() + more.len();
        for (id, token) in more {
            let at = *id as usize;
            // Ids without a token are known of model files, but a file full of them is damaged.
            if at >= 2 * limit {
                let reason = format!("`{}` is added as id {id}, far beyond the last one", token.content);
                return Err(Error::tokenizer(file, reason));
            }
            let end = self.tokens.len().max(at + 1);
            self.tokens.resize(end, String::new());
            self.token_types.resize(end, TokenType::Unused as i32);
            if !self.scores.is_empty() {
                self.scores.resize(end, 0.0);
            }
            self.tokens[at] = token.content.clone();
            let unknown = self.token_types[at] == TokenType::Unknown as i32;
            let kind = if token.special { TokenType::Control } else { TokenType::UserDefined };
            self.token_types[at] = if unknown { TokenType::Unknown } else { kind } as i32;
        }
        Ok(())
    }
}

/// An entry of `added_tokens_decoder`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Added {
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    special: bool,
}

/// The tokens that a folder adds to its `tokenizer.model`.
fn more_tokens(folder: &Path) -> Result<BTreeMap<u32, AddedToken>> {
    let config = folder.join("tokenizer_config.json");
    let tokens = match optional(&config)? {
        Some(value) if !value["added_tokens_decoder"].is_null() => {
            let tokens = BTreeMap::<u32, Added>::deserialize(&value["added_tokens_decoder"]);
            tokens.map_err(|e| {
                Error::json(&config.display().to_string(), format!("`added_tokens_decoder`: {e}"))
            })?
        }
        config => listed_tokens(folder, &config.unwrap_or_default())?,
    };
    let token = |added: Added| AddedToken {
        content: added.content,
        single_word: added.single_word,
        lstrip: added.lstrip,
        rstrip: added.rstrip,
        // Whether they match before or after spaces are rewritten only matters for tokens that hold spaces.
        normalized: false,
        special: added.special,
    };
    Ok(tokens.into_iter().map(|(id, added)| (id, token(added))).collect())
}

/// `added_tokens.json`; a token with a role in the configuration is special.
fn listed_tokens(folder: &Path, config: &Value) -> Result<BTreeMap<u32, Added>> {
    let path = folder.join("added_tokens.json");
    let Some(value) = optional(&path)? else { return Ok(BTreeMap::new()) };
    let ids = BTreeMap::<String, u32>::deserialize(&value)
        .map_err(|e| Error::json(&path.display().to_string(), e))?;
    let roles = optional(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
    let special = |token: &str| names(config, token) || names(&roles, token);
    let added = |content: String| Added { special: special(&content), content, ..Added::default() };
    Ok(ids.into_iter().map(|(content, id)| (id, added(content))).collect())
}

/// Whether a `*_token` or `additional_special_tokens` of a configuration is this token.
fn names(config: &Value, token: &str) -> bool {
    let is = |value: &Value| value == token || value["content"] == token;
    config.as_object().is_some_and(|config| {
        let role = |key: &str| key.ends_with("_token") || key.ends_with("_special_tokens");
        let mut values = config.iter().filter(|(key, _)| role(key)).map(|(_, value)| value);
        values.any(|value| is(value) || value.as_array().is_some_and(|list| list.iter().any(is)))
    })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Read { path: PathBuf::from(path), source })
}

/// A JSON file that need not be there.
pub(crate) fn optional(path: &Path) -> Result<Option<Value>> {
    if !path.exists() {
        return Ok(None);
    }
    let value = serde_json::from_slice(&read(path)?);
    value.map(Some).map_err(|e| Error::json(&path.display().to_string(), e))
}
