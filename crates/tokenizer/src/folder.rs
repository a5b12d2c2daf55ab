//! Finds the tokenizer in a model's folder.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;
use tokenizers::AddedToken;

use crate::{Error, Result, TokenType, Tokenizer, TokenizerOptions, Vocabulary, sentencepiece, tiktoken};

impl Tokenizer {
    /// Reads a `tokenizer.json`, or a `tokenizer.model` of SentencePiece or tiktoken. The format is
    /// recognised by the content.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, is not a tokenizer of a known kind, or does not fit the
    /// model.
    pub fn from_file(path: impl AsRef<Path>, options: &TokenizerOptions) -> Result<Tokenizer> {
        let path = path.as_ref();
        Tokenizer::from_bytes_with_added(&read(path)?, BTreeMap::new(), &path.display().to_string(), options)
    }

    /// Returns the tokenizer of a model's folder, or `None` if it has no tokenizer. It is `tokenizer.json`,
    /// or else `tokenizer.model` with the tokens that `tokenizer_config.json` or `added_tokens.json` add to
    /// it.
    ///
    /// # Errors
    /// Fails as [`Tokenizer::from_file`] does, for any of these files.
    pub fn from_folder(folder: impl AsRef<Path>, options: &TokenizerOptions) -> Result<Option<Tokenizer>> {
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
        Tokenizer::from_bytes_with_added(&bytes, added_tokens(folder)?, &name, options).map(Some)
    }

    /// Reads a tokenizer and adds the tokens `more` to it.
    fn from_bytes_with_added(
        bytes: &[u8],
        more: BTreeMap<u32, AddedToken>,
        file: &str,
        options: &TokenizerOptions,
    ) -> Result<Tokenizer> {
        let mut vocabulary = match bytes.trim_ascii_start().first() {
            Some(b'{') => return Tokenizer::from_json_bytes(bytes, file, options),
            _ if tiktoken::is_tiktoken(bytes) => tiktoken::vocabulary(bytes, file)?,
            _ => sentencepiece::vocabulary(bytes, file)?,
        };
        // The added tokens may replace special tokens of the file, as in folders that rename the tokens of
        // Llama 3.
        vocabulary.add(&more, file)?;
        Tokenizer::from_vocabulary_with_details(vocabulary, more, file, options)
    }
}

impl Vocabulary {
    /// Puts added tokens at their ids, where they replace other tokens. Ids in a gap before an added token
    /// become unused.
    pub(crate) fn add(&mut self, more: &BTreeMap<u32, AddedToken>, file: &str) -> Result<()> {
        let limit = self.tokens.len() + more.len();
        for (id, token) in more {
            let at = *id as usize;
            // Model files are known to have some ids without a token, but a file with a large gap is damaged.
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
struct AddedEntry {
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    special: bool,
}

/// Returns the tokens that a folder adds to its `tokenizer.model`.
fn added_tokens(folder: &Path) -> Result<BTreeMap<u32, AddedToken>> {
    let config = folder.join("tokenizer_config.json");
    let tokens = match optional(&config)? {
        Some(value) if !value["added_tokens_decoder"].is_null() => {
            let tokens = BTreeMap::<u32, AddedEntry>::deserialize(&value["added_tokens_decoder"]);
            tokens.map_err(|e| {
                Error::json(&config.display().to_string(), format!("`added_tokens_decoder`: {e}"))
            })?
        }
        config => tokens_added_by_name(folder, &config.unwrap_or_default())?,
    };
    let token = |added: AddedEntry| AddedToken {
        content: added.content,
        single_word: added.single_word,
        lstrip: added.lstrip,
        rstrip: added.rstrip,
        // This says whether a token is matched before or after spaces are rewritten, which matters only for
        // tokens that contain spaces.
        normalized: false,
        special: added.special,
    };
    Ok(tokens.into_iter().map(|(id, added)| (id, token(added))).collect())
}

/// Returns the tokens of `added_tokens.json`. A token with a role in the configuration is special.
fn tokens_added_by_name(folder: &Path, config: &Value) -> Result<BTreeMap<u32, AddedEntry>> {
    let path = folder.join("added_tokens.json");
    let Some(value) = optional(&path)? else { return Ok(BTreeMap::new()) };
    let ids = BTreeMap::<String, u32>::deserialize(&value)
        .map_err(|e| Error::json(&path.display().to_string(), e))?;
    let roles = optional(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
    let special = |token: &str| has_role(config, token) || has_role(&roles, token);
    let added = |content: String| AddedEntry { special: special(&content), content, ..AddedEntry::default() };
    Ok(ids.into_iter().map(|(content, id)| (id, added(content))).collect())
}

/// Returns whether this token is the value of a key such as `bos_token`, or in the list of a key such as
/// `additional_special_tokens`.
fn has_role(config: &Value, token: &str) -> bool {
    let is_token = |value: &Value| value == token || value["content"] == token;
    config.as_object().is_some_and(|config| {
        let role = |key: &str| key.ends_with("_token") || key.ends_with("_special_tokens");
        let mut values = config.iter().filter(|(key, _)| role(key)).map(|(_, value)| value);
        values.any(|value| is_token(value) || value.as_array().is_some_and(|list| list.iter().any(is_token)))
    })
}

/// Returns the bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Read { path: PathBuf::from(path), source })
}

/// Returns the content of a JSON file, or `None` if there is no such file.
pub(crate) fn optional(path: &Path) -> Result<Option<Value>> {
    if !path.exists() {
        return Ok(None);
    }
    let value = serde_json::from_slice(&read(path)?);
    value.map(Some).map_err(|e| Error::json(&path.display().to_string(), e))
}
