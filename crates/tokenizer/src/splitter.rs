//! Splits texts by the expressions of a file that may take very long, within a limited time.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokenizers::{
    AddedVocabulary, NormalizerWrapper, PreTokenizedString, PreTokenizer as _, PreTokenizerWrapper,
};

use crate::{guard::guarded_within, pre_tokenizer::PreTokenizer, spelling::steps};

/// The time that splitting may take, and the additional time for each byte of the text.
const TIME: Duration = Duration::from_secs(3);
const TIME_PER_BYTE: Duration = Duration::from_micros(4);

/// The steps before the merging of a tokenizer.
#[derive(Clone)]
pub(crate) struct Splitter {
    pub(crate) normalizer: Option<NormalizerWrapper>,
    pub(crate) pre_tokenizer: Option<PreTokenizerWrapper>,
    /// Finds all added tokens in a text.
    pub(crate) parsing: AddedVocabulary,
    /// Finds only those added tokens that are not special.
    pub(crate) plain: AddedVocabulary,
}

impl Splitter {
    /// Returns the first regular expression of the file that bitkv does not know; `None` if it knows all.
    pub(crate) fn unknown_expression(&self) -> Option<String> {
        let splitter = serde_json::to_value(&self.pre_tokenizer).unwrap_or_default();
        let known = PreTokenizer::recognise(&splitter).is_some();
        let normalizer = serde_json::to_value(&self.normalizer).unwrap_or_default();
        let expression = |step: &Value| step["pattern"]["Regex"].as_str().map(String::from);
        let in_normalizer = steps(&normalizer).into_iter().find_map(expression);
        in_normalizer.or_else(|| steps(&splitter).into_iter().find_map(expression).filter(|_| !known))
    }

    /// Splits a text. With `plain`, special tokens are ordinary text.
    pub(crate) fn split(&self, plain: bool, text: &str) -> tokenizers::Result<PreTokenizedString> {
        let added = if plain { &self.plain } else { &self.parsing };
        let mut parts = added.extract_and_normalize(self.normalizer.as_ref(), text);
        if let Some(pre_tokenizer) = &self.pre_tokenizer {
            pre_tokenizer.pre_tokenize(&mut parts)?;
        }
        Ok(parts)
    }

    /// Does the same as [`Splitter::split`]. Returns `None` if it takes too long or the library panics.
    pub(crate) fn split_in_time(
        self: &Arc<Self>,
        plain: bool,
        text: &str,
    ) -> Option<tokenizers::Result<PreTokenizedString>> {
        let (splitter, text) = (self.clone(), text.to_owned());
        let time = TIME + TIME_PER_BYTE.saturating_mul(u32::try_from(text.len()).unwrap_or(u32::MAX));
        guarded_within(time, move || splitter.split(plain, &text))?.ok()
    }
}
