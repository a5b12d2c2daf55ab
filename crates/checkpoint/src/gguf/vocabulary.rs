//! Reads the part of the metadata that describes the tokenizer.

use crate::{Error, Result};

use super::{
    cursor::Read,
    damage::Damage,
    keys::Keys,
    value::{Value, ValueType},
};

/// A tokenizer as the keys `tokenizer.*` describe it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    /// `gpt2` for byte-level BPE, `llama` for SentencePiece.
    pub model: String,
    /// The name of the pre-tokenizer. Published BitNet files lack it.
    pub pre: Option<String>,
    /// The pieces, by id.
    pub tokens: Vec<String>,
    /// The SentencePiece scores, by id; empty if the file has no scores.
    pub scores: Vec<f32>,
    /// llama.cpp's token types, by id: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    /// Empty if the file has no types.
    pub token_types: Vec<i32>,
    /// Pairs of pieces with a space between them, best first; empty if the file has no merges.
    pub merges: Vec<String>,
    /// The token that begins a text.
    pub bos: Option<u32>,
    /// The token that ends a text.
    pub eos: Option<u32>,
    /// The token for text that the vocabulary cannot represent.
    pub unk: Option<u32>,
    /// The token that fills the rows of a batch.
    pub pad: Option<u32>,
    /// Whether every text is prefixed with `bos`.
    pub add_bos: Option<bool>,
    /// Whether every text is followed by `eos`.
    pub add_eos: Option<bool>,
    /// Whether SentencePiece puts a space before every text.
    pub add_space_prefix: Option<bool>,
    /// The chat template, in Jinja.
    pub chat_template: Option<String>,
}

pub(super) const MODEL: &str = "tokenizer.ggml.model";
pub(super) const PRE: &str = "tokenizer.ggml.pre";
pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
pub(super) const SCORES: &str = "tokenizer.ggml.scores";
pub(super) const TYPES: &str = "tokenizer.ggml.token_type";
pub(super) const MERGES: &str = "tokenizer.ggml.merges";
pub(super) const BOS: &str = "tokenizer.ggml.bos_token_id";
pub(super) const EOS: &str = "tokenizer.ggml.eos_token_id";
pub(super) const EOT: &str = "tokenizer.ggml.eot_token_id";
pub(super) const EOM: &str = "tokenizer.ggml.eom_token_id";
pub(super) const UNKNOWN: &str = "tokenizer.ggml.unknown_token_id";
pub(super) const PADDING: &str = "tokenizer.ggml.padding_token_id";
pub(super) const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
pub(super) const ADD_EOS: &str = "tokenizer.ggml.add_eos_token";
pub(super) const ADD_SPACE: &str = "tokenizer.ggml.add_space_prefix";
pub(super) const TEMPLATE: &str = "tokenizer.chat_template";

/// Reads the vocabulary.
///
/// # Errors
/// Returns an error if there is no vocabulary, or it is damaged.
pub(super) fn read(keys: &Keys<'_>) -> Result<Vocabulary> {
    let tokens = strings(keys, TOKENS)?;
    if tokens.is_empty() {
        return Err(keys.missing(TOKENS));
    }
    let vocabulary = Vocabulary {
        model: keys.text(MODEL)?.ok_or_else(|| keys.missing(MODEL))?.into(),
        pre: keys.text(PRE)?.map(String::from),
        scores: items(keys, SCORES, ValueType::F32, |value| value.as_f32().copied())?,
        token_types: items(keys, TYPES, ValueType::I32, |value| i32::try_from(*value.as_integer()?).ok())?,
        merges: strings(keys, MERGES)?,
        bos: keys.token(BOS)?,
        eos: keys.token(EOS)?,
        unk: keys.token(UNKNOWN)?,
        pad: keys.token(PADDING)?,
        add_bos: keys.flag(ADD_BOS)?,
        add_eos: keys.flag(ADD_EOS)?,
        add_space_prefix: keys.flag(ADD_SPACE)?,
        chat_template: keys.text(TEMPLATE)?.map(String::from),
        tokens,
    };
    let count = vocabulary.tokens.len();
    for (key, length) in [(SCORES, vocabulary.scores.len()), (TYPES, vocabulary.token_types.len())] {
        if length != 0 && length != count {
            return Err(keys.bad(key, format!("{length} items"), format!("but there are {count} tokens")));
        }
    }
    Ok(vocabulary)
}

/// Returns the strings of an array; empty if the key is missing.
fn strings(keys: &Keys<'_>, key: &'static str) -> Result<Vec<String>> {
    items(keys, key, ValueType::String, |value| match value {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// Returns the items of an array, converted by `convert`; empty if the key is missing.
fn items<T>(
    keys: &Keys<'_>,
    key: &'static str,
    kind: ValueType,
    convert: impl Fn(Value) -> Option<T>,
) -> Result<Vec<T>> {
    let Some(array) = keys.array(key)? else { return Ok(Vec::new()) };
    if array.kind() != kind {
        let reason = format!("but must be an array of {}", kind.name());
        return Err(keys.bad(key, Value::Array(array.clone()), reason));
    }
    let damaged = |damage| {
        let reason = Damage::InArray { key, reason: Box::new(damage) }.to_string();
        Error::Gguf { file: keys.file.into(), reason }
    };
    array
        .items()
        .map(|value| convert(value?).ok_or(Damage::WrongItemType))
        .collect::<Read<_>>()
        .map_err(damaged)
}
