//! Finds the tokenizer in a model's folder.

use std::{collections::BTreeMap, path::Path};

use bitkv_bytes::{check_values, limit};
use serde_json::Value;
use tokenizers::AddedToken;

pub(crate) use crate::content::read;
use crate::{
    Error, Result, TokenType, Tokenizer, TokenizerOptions, Vocabulary, assemble::TokenizerParts, json,
    read_vocabulary, sentencepiece, settings::Settings, tiktoken,
};

impl Tokenizer {
    /// Reads a `tokenizer.json`, or a `tokenizer.model` of SentencePiece or tiktoken. The format is
    /// recognised by the content.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, is not a tokenizer of a known kind, or does not fit the
    /// model.
    pub fn from_file(path: impl AsRef<Path>, options: &TokenizerOptions) -> Result<Tokenizer> {
        let path = path.as_ref();
        parts(&read(path, limit::TOKENIZER)?, BTreeMap::new(), &path.display().to_string())?.assemble(options)
    }

    /// Returns the tokenizer of a model's folder, or `None` if it has no tokenizer. It is `tokenizer.json`,
    /// or else `tokenizer.model`, with the settings and added tokens of `tokenizer_config.json` and of the
    /// older files `special_tokens_map.json` and `added_tokens.json`.
    ///
    /// The result gives the ids of `AutoTokenizer.from_pretrained` in transformers 5. A `tokenizer.model`
    /// without a class, or whose class transformers lacks, behaves as SentencePiece does, and the first token
    /// is put before every text.
    ///
    /// # Errors
    /// Fails as [`Tokenizer::from_file`] does, for any of these files.
    pub fn from_folder(folder: impl AsRef<Path>, options: &TokenizerOptions) -> Result<Option<Tokenizer>> {
        let folder = folder.as_ref();
        let (json, model) = (folder.join("tokenizer.json"), folder.join("tokenizer.model"));
        if is_listed(&json) {
            let (bytes, name) = (read(&json, limit::TOKENIZER)?, json.display().to_string());
            let settings = Settings::from_folder(folder)?;
            let mut parts = parts(&bytes, BTreeMap::new(), &name)?;
            settings.change_json(&mut parts, &bytes);
            return parts.assemble(options).map(Some);
        }
        if !is_listed(&model) {
            return Ok(None);
        }
        let (bytes, name) = (read(&model, limit::TOKENIZER)?, model.display().to_string());
        let settings = Settings::from_folder(folder)?;
        let mut parts = parts(&bytes, settings.added_by_id(), &name)?;
        settings.change_model(&mut parts);
        parts.assemble(options).map(Some)
    }
}

/// Returns the parts of the tokenizer in a file, with the tokens `more` added to it if it is a
/// `tokenizer.model`.
fn parts(bytes: &[u8], more: BTreeMap<u32, AddedToken>, file: &str) -> Result<TokenizerParts> {
    let mut vocabulary = match bytes.trim_ascii_start().first() {
        Some(b'{') => return json::parts(bytes, file),
        None => return Err(Error::tokenizer(file, "it is empty")),
        _ if tiktoken::is_tiktoken(bytes) => tiktoken::vocabulary(bytes, file)?,
        _ => sentencepiece::vocabulary(bytes, file)?,
    };
    // The added tokens may replace special tokens of the file, as in folders that rename the tokens of
    // Llama 3.
    vocabulary.add(&more, file)?;
    read_vocabulary::parts(vocabulary, more, file)
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

/// Returns whether a folder lists a file, even if it is a link to a file that is not there. Such a file must
/// not count as missing.
pub(crate) fn is_listed(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Returns the content of a JSON file, or `None` if there is no such file.
pub(crate) fn optional(path: &Path) -> Result<Option<Value>> {
    if !is_listed(path) {
        return Ok(None);
    }
    let (bytes, file) = (read(path, limit::SETTINGS)?, path.display().to_string());
    check_values(&bytes).map_err(|reason| Error::json(&file, reason))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::json(&file, e))
}
