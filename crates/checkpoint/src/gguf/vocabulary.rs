//! The tokenizer's part of the metadata.

use crate::{Error, Result};

use super::{
    cursor::Read,
    damage::Damage,
    keys::Keys,
    value::{Value, ValueType},
};

/// A tokenizer as `tokenizer.*` keys describe it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    /// `gpt2` for byte-level BPE, `llama` for SentencePiece.
    pub model: String,
    /// Which pre-tokenizer; published BitNet files lack it.
    pub pre: Option<String>,
    /// The pieces, by id.
    pub tokens: Vec<String>,
    /// SentencePiece scores, by id; empty when there are none.
    pub scores: Vec<f32>,
    /// llama.cpp's token types, by id: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. Empty when
    /// there are none.
    pub token_types: Vec<i32>,
    /// Pairs of pieces with a space between them, best first; empty when there are none.
    pub merges: Vec<String>,
    /// Begins a text.
    pub bos: Option<u32>,
    /// Ends a text.
    pub eos: Option<u32>,
    /// Stands for what has no token.
    pub unk: Option<u32>,
    /// Fills rows of a batch.
    pub pad: Option<u32>,
    /// Whether `bos` is put in front of every text.
    pub add_bos: Option<bool>,
    /// Whether SentencePiece puts a space in front of every text.
    pub add_space_prefix: Option<bool>,
    /// A Jinja template.
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
pub(super) const UNKNOWN: &str = "tokenizer.ggml.unknown_token_id";
pub(super) const PADDING: &str = "tokenizer.ggml.padding_token_id";
pub(super) const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
pub(super) const ADD_SPACE: &str = "tokenizer.ggml.add_space_prefix";
pub(super) const TEMPLATE: &str = "tokenizer.chat_template";

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

/// The strings of an array; none when it is absent.
fn strings(keys: &Keys<'_>, key: &'static str) -> Result<Vec<String>> {
    items(keys, key, ValueType::String, |value| match value {
        Value::String(text) => Some(text),
        _ => None,
    })
}

fn items<T>(
    keys: &Keys<'_>,
    key: &'static str,
    kind: ValueType,
    item: impl Fn(Value) -> Option<T>,
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
    array.items().map(|value| item(value?).ok_or(Damage::OddItem)).collect::<Read<_>>().map_err(damaged)
}
