//! Encoding and decoding.

use std::ops::Range;

use tokenizers::{
    AddedVocabulary, Model, NormalizerWrapper, OffsetType, PreTokenizer, PreTokenizerWrapper,
    models::bpe::BPE,
};

use crate::{Error, Result, SpecialIds, TextStream, pieces::Pieces, spelling::Spelling};

/// What a tokenizer has to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The id that starts a sequence, by the model's configuration; `None` to take the one that the tokenizer's
    /// own file names, if any.
    pub bos: Option<u32>,
    /// How many ids the model has; a tokenizer with a larger id is refused.
    pub vocab_size: usize,
}

/// A tokenizer that fits a model.
pub struct Tokenizer {
    pub(crate) model: BPE,
    /// Ids of the pairs to merge, first ones first.
    pub(crate) merges: Vec<(u32, u32)>,
    pub(crate) normalizer: Option<NormalizerWrapper>,
    pub(crate) pre_tokenizer: Option<PreTokenizerWrapper>,
    /// Finds added tokens in a text, special ones included.
    pub(crate) parsing: AddedVocabulary,
    /// Finds all but special ones.
    pub(crate) plain: AddedVocabulary,
    pub(crate) pieces: Pieces,
    pub(crate) spelling: Spelling,
    pub(crate) special: SpecialIds,
    pub(crate) adds_bos: Option<bool>,
    pub(crate) assumes_pre: bool,
    pub(crate) scores: Option<Vec<f32>>,
    pub(crate) vocab_size: usize,
    pub(crate) file: String,
}

impl Tokenizer {
    /// The ids of a text. With `bos`, the model's first token comes first, exactly once.
    ///
    /// Special tokens that are written out in the text, such as `<|eot_id|>`, become their ids, as in HF's
    /// tokenizers; see [`Tokenizer::encode_plain`] for text that must not do so.
    ///
    /// # Errors
    /// When the text has a character that the tokenizer has no way to say.
    pub fn encode(&self, text: &str, bos: bool) -> Result<Vec<u32>> {
        self.encode_by(&self.parsing, text, bos)
    }

    /// As [`Tokenizer::encode`], but special tokens in the text are text like any other (HF's
    /// `split_special_tokens`). Tokens that were added to a vocabulary without being special are still found.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_plain(&self, text: &str, bos: bool) -> Result<Vec<u32>> {
        self.encode_by(&self.plain, text, bos)
    }

    fn encode_by(&self, added: &AddedVocabulary, text: &str, bos: bool) -> Result<Vec<u32>> {
        let mut parts = added.extract_and_normalize(self.normalizer.as_ref(), text);
        let failed = |e: tokenizers::Error| Error::Encode { file: self.file.clone(), reason: e.to_string() };
        if let Some(cut) = &self.pre_tokenizer {
            cut.pre_tokenize(&mut parts).map_err(failed)?;
        }
        parts.tokenize(|part| self.model.tokenize(part.get())).map_err(failed)?;
        let encoding = parts.into_encoding(None, 0, OffsetType::None).map_err(failed)?;
        let ids = encoding.get_ids();
        let first = self.special.bos.filter(|id| bos && ids.first() != Some(id));
        Ok(first.into_iter().chain(ids.iter().copied()).collect())
    }

    /// The text of ids. Special tokens are left out, and so are ids that have no token. Bytes that are no UTF-8
    /// become U+FFFD, one for each run that no further byte could complete. If encoding puts a space in front of
    /// a text, decoding takes it away.
    ///
    /// # Errors
    /// When an id is outside the model's vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let mut bytes = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            bytes.extend(self.bytes(*id, index)?);
        }
        let dropped = usize::from(self.spelling.strips() && bytes.first() == Some(&b' '));
        Ok(String::from_utf8_lossy(&bytes[dropped..]).into_owned())
    }

    /// The bytes of the id at `index` of what is decoded.
    pub(crate) fn bytes(&self, id: u32, index: usize) -> Result<&[u8]> {
        if id as usize >= self.vocab_size {
            return Err(Error::TokenOutOfVocabulary { id, index, vocab_size: self.vocab_size });
        }
        Ok(self.pieces.get(id))
    }

    /// Text from ids as they come.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream::new(self)
    }

    /// The id of a token as the vocabulary writes it, if there is one.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.model.token_to_id(token)
    }

    /// The token of an id as the vocabulary writes it (`Ġthe`, `▁the`, `<0x0A>`), if there is one.
    pub fn token(&self, id: u32) -> Option<String> {
        self.model.id_to_token(id)
    }

    /// Whether an id is a special token, which is no text.
    pub fn is_special(&self, id: u32) -> bool {
        self.parsing.get_added_tokens_decoder().get(&id).is_some_and(|token| token.special)
    }

    /// The ids with a role that are known. `bos` is [`Options::bos`], or else what the tokenizer's file says.
    pub fn special_ids(&self) -> SpecialIds {
        self.special
    }

    /// Whether the tokenizer's file asks for a first token on every text, if it says.
    pub fn adds_bos(&self) -> Option<bool> {
        self.adds_bos
    }

    /// Whether a GGUF file did not say how it cuts texts, so that it was taken to be as Llama 3 does. That gives
    /// the ids of HF's tokenizer for BitNet b1.58 2B-4T; bitnet.cpp takes its own default on such files and
    /// gives others.
    pub fn assumes_pre_tokenizer(&self) -> bool {
        self.assumes_pre
    }

    /// How many ids the model has ([`Options::vocab_size`]), whether or not they have tokens.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// How many ids have a token.
    pub fn len(&self) -> usize {
        self.pieces.ids().len()
    }

    /// Whether no id has a token. Never so: such a file is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The largest id that has a token.
    pub fn largest_id(&self) -> u32 {
        self.pieces.ids().last().copied().unwrap_or_default()
    }

    /// Ids of the model that have no token, ascending. Models are often padded at the end; a gap in the middle,
    /// or a large one, tells of a tokenizer of another model.
    pub fn missing_ids(&self) -> Vec<Range<u32>> {
        let end = u32::try_from(self.vocab_size).unwrap_or(u32::MAX);
        let (mut missing, mut next) = (Vec::new(), 0);
        for id in self.pieces.ids().iter().copied().chain([end]) {
            if next < id {
                missing.push(next..id);
            }
            next = id.saturating_add(1);
        }
        missing
    }
}
