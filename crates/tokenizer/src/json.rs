//! Reads Hugging Face's `tokenizer.json`.

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use tokenizers::{AddedToken, NormalizerWrapper, PreTokenizerWrapper, models::bpe::Merges};

use crate::{
    Error, Result, SpecialIds, SpecialTokens, Tokenizer, TokenizerOptions,
    assemble::TokenizerParts,
    growth,
    guard::guarded,
    spelling::{Spelling, steps},
};

impl Tokenizer {
    /// Reads a `tokenizer.json`; errors name `file`. The settings for truncation, padding and dropout are
    /// ignored, because they are for training. The post-processor decides which special
    /// tokens [`Tokenizer::encode`] adds.
    ///
    /// # Errors
    /// Returns an error if the file is not valid, its model is not BPE, a token or an id appears twice, or an
    /// id is outside the model's vocabulary.
    pub fn from_json_bytes(bytes: &[u8], file: &str, options: &TokenizerOptions) -> Result<Tokenizer> {
        parts(bytes, file)?.assemble(options)
    }
}

/// Returns the parts of the tokenizer in a `tokenizer.json`.
pub(crate) fn parts(bytes: &[u8], file: &str) -> Result<TokenizerParts> {
    let wrong = |e: serde_json::Error| Error::tokenizer(file, e.to_string());
    let json: File<'_> = serde_json::from_slice(bytes).map_err(wrong)?;
    let model_type: ModelType = serde_json::from_str(json.model.get()).map_err(wrong)?;
    if model_type.name.as_deref().is_some_and(|name| name != "BPE") {
        return Err(Error::unsupported(file, "model", model_type.name.unwrap_or_default(), "BPE"));
    }
    let model: Bpe<'_> = serde_json::from_str(json.model.get()).map_err(wrong)?;
    json.parts(model, file)
}

/// The largest number of tokens and of merges. Published vocabularies have up to 300,000 tokens.
const MOST_TOKENS: usize = 1 << 20;

/// The parts of a `tokenizer.json` that this crate uses.
#[derive(Deserialize)]
struct File<'a> {
    #[serde(default)]
    added_tokens: Vec<AddedEntry>,
    #[serde(default, deserialize_with = "small")]
    normalizer: Value,
    #[serde(default, deserialize_with = "small")]
    pre_tokenizer: Value,
    #[serde(default, deserialize_with = "small")]
    post_processor: Value,
    #[serde(default, deserialize_with = "small")]
    decoder: Value,
    #[serde(borrow)]
    model: &'a RawValue,
}

/// Reads a part of the file that is kept as a tree of values, which takes many times its size in memory.
fn small<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Value, D::Error> {
    let json: &RawValue = Deserialize::deserialize(deserializer)?;
    bitkv_bytes::check_values(json.get().as_bytes()).map_err(D::Error::custom)?;
    serde_json::from_str(json.get()).map_err(D::Error::custom)
}

/// An entry of `added_tokens`.
#[derive(Deserialize)]
struct AddedEntry {
    id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

/// The type of the model.
#[derive(Deserialize)]
struct ModelType {
    #[serde(rename = "type")]
    name: Option<String>,
}

/// A BPE model.
#[derive(Deserialize)]
struct Bpe<'a> {
    vocab: Entries,
    #[serde(borrow)]
    merges: &'a RawValue,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
}

/// The tokens and ids of a vocabulary in the order in which they are written. A map would lose a token that
/// appears twice.
struct Entries(Vec<(String, u32)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("tokens with their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() == MOST_TOKENS {
                        return Err(A::Error::custom(format!("it has more than {MOST_TOKENS} tokens")));
                    }
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl File<'_> {
    /// Returns the parts of the tokenizer.
    fn parts(self, model: Bpe<'_>, file: &str) -> Result<TokenizerParts> {
        model.refuse_affixes(file)?;
        let steps: Vec<&Value> =
            steps(&self.normalizer).into_iter().chain(steps(&self.pre_tokenizer)).collect();
        growth::check(&steps).map_err(|reason| Error::tokenizer(file, reason))?;
        let spelling = Spelling::new(file, &self.decoder, &self.pre_tokenizer, &self.normalizer)?;
        let unk = model.unk_token.as_ref().and_then(|unk| {
            let ids = model.vocab.0.iter().find(|(token, _)| token == unk).map(|(_, id)| *id);
            ids.or_else(|| self.added_tokens.iter().find(|a| a.token.content == *unk).map(|a| a.id))
        });
        Ok(TokenizerParts {
            merges: merges(model.merges, file)?,
            normalizer: normalizer(&self.normalizer, file)?,
            pre_tokenizer: pre_tokenizer(&self.pre_tokenizer, file)?,
            added: self.added_tokens.into_iter().map(|added| (added.id, added.token)).collect(),
            tokens: model.vocab.0,
            unk_token: model.unk_token,
            fuse_unk: model.fuse_unk.unwrap_or(false),
            byte_fallback: model.byte_fallback.unwrap_or(false),
            ignore_merges: model.ignore_merges.unwrap_or(false),
            spelling,
            special: SpecialIds { unk, ..SpecialIds::default() },
            special_tokens: SpecialTokens::from_post_processor(&self.post_processor, file)?,
            notes: Vec::new(),
            assumes_pre: false,
            scores: None,
            file: file.into(),
        })
    }
}

impl Bpe<'_> {
    /// Checks that the model does not mark words by prefixes or suffixes of tokens.
    fn refuse_affixes(&self, file: &str) -> Result<()> {
        let affixes = [
            ("continuing_subword_prefix", &self.continuing_subword_prefix),
            ("end_of_word_suffix", &self.end_of_word_suffix),
        ];
        match affixes.into_iter().find(|(_, affix)| affix.as_ref().is_some_and(|affix| !affix.is_empty())) {
            Some((what, affix)) => {
                Err(Error::unsupported(file, what, affix.clone().unwrap_or_default(), "none"))
            }
            None => Ok(()),
        }
    }
}

/// Returns a part of the file, or `None` if it is null.
fn part<'a, T: Deserialize<'a>>(value: &'a Value, name: &str, file: &str) -> Result<Option<T>> {
    guarded(|| Option::deserialize(value))
        .map_err(|_| Error::tokenizer(file, format!("its {name} is damaged")))?
        .map_err(|e| Error::tokenizer(file, format!("its {name} is not understood: {e}")))
}

/// Returns the normalizer, or `None` if it is null.
///
/// # Errors
/// Returns an error if it would replace the empty text, which never ends.
fn normalizer(value: &Value, file: &str) -> Result<Option<NormalizerWrapper>> {
    let endless = |step: &&Value| {
        step["type"] == "Replace" && (step["pattern"]["String"] == "" || step["pattern"]["Regex"] == "")
    };
    if steps(value).iter().any(endless) {
        return Err(Error::tokenizer(file, "its normalizer replaces the empty text"));
    }
    part(value, "normalizer", file)
}

/// Returns the pre-tokenizer, or `None` if it is null.
///
/// # Errors
/// Returns an error if it would split texts into pieces of length 0.
fn pre_tokenizer(value: &Value, file: &str) -> Result<Option<PreTokenizerWrapper>> {
    let endless = |step: &&Value| step["type"] == "FixedLength" && step["length"] == 0;
    if steps(value).iter().any(endless) {
        return Err(Error::tokenizer(file, "its pre-tokenizer splits texts into pieces of length 0"));
    }
    part(value, "pre_tokenizer", file)
}

/// Returns the merges. A file lists them as pairs of tokens; older files list them as lines of two tokens
/// with a space between.
fn merges(json: &RawValue, file: &str) -> Result<Merges> {
    let wrong = |reason: String| Error::tokenizer(file, format!("its merges are not understood: {reason}"));
    // Every merge has at least one comma, and at most a bracket and two commas.
    let marks = json.get().bytes().filter(|byte| matches!(byte, b',' | b'[')).count();
    if marks > 3 * MOST_TOKENS {
        return Err(wrong(format!("there are more than {MOST_TOKENS}")));
    }
    let Ok(lines) = serde_json::from_str::<Vec<String>>(json.get()) else {
        return serde_json::from_str(json.get()).map_err(|e| wrong(e.to_string()));
    };
    let lines = lines.into_iter().filter(|line| !line.starts_with("#version"));
    let pair = |line: String| match line.split(' ').collect::<Vec<_>>()[..] {
        [left, right] => Ok((left.to_string(), right.to_string())),
        _ => Err(wrong(format!("`{line}` is not two tokens with a space between"))),
    };
    lines.map(pair).collect()
}
