//! Encodes texts and decodes ids.

use std::{ops::Range, sync::Arc};

use tokenizers::{Model, OffsetType, PreTokenizedString, models::bpe::BPE};

use crate::{
    Error, Result, SpecialIds, SpecialTokens, TextStream, guard::guarded, passages::Borders, pieces::Pieces,
    spelling::Spelling, splitter::Splitter,
};

/// The properties of a model that its tokenizer must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenizerOptions {
    /// The id that starts a sequence, from the model's configuration; `None` to use the one that the
    /// tokenizer's own file names, if any.
    pub bos: Option<u32>,
    /// The number of ids of the model. A tokenizer may have a few larger ids, but no text may contain them.
    pub vocab_size: usize,
}

/// A tokenizer that fits a model.
pub struct Tokenizer {
    pub(crate) model: BPE,
    /// The ids of the pairs to merge, in order of priority.
    pub(crate) merges: Vec<(u32, u32)>,
    /// The steps before the merging.
    pub(crate) splitter: Arc<Splitter>,
    /// Where long texts are split.
    pub(crate) borders: Borders,
    /// An expression of the file that bitkv does not know, and that may take very long.
    pub(crate) expression: Option<String>,
    pub(crate) pieces: Pieces,
    pub(crate) spelling: Spelling,
    pub(crate) special: SpecialIds,
    pub(crate) special_tokens: SpecialTokens,
    pub(crate) notes: Vec<String>,
    pub(crate) assumes_pre: bool,
    pub(crate) scores: Option<Vec<f32>>,
    pub(crate) vocab_size: usize,
    pub(crate) file: String,
}

impl Tokenizer {
    /// Returns the ids of a text, with the special tokens that the model's files add before and after every
    /// text ([`Tokenizer::special_tokens`]). They are added even if the text begins with them, as in Hugging
    /// Face's tokenizers.
    ///
    /// Special tokens that are written out in the text, such as `<|eot_id|>`, become their ids, as in Hugging
    /// Face's tokenizers. Use [`Tokenizer::encode_plain`] if they must not.
    ///
    /// # Errors
    /// Returns an error if the text has a character that the vocabulary cannot represent, or becomes an id
    /// that the model lacks.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let ids = self.special_tokens.around(&self.ids(false, text)?);
        self.checked(ids)
    }

    /// Returns the ids of a text as [`Tokenizer::encode`] does, but adds no special tokens. Use it for the
    /// texts of chat templates, which write their special tokens themselves, and for parts of texts.
    ///
    /// # Errors
    /// Fails as [`Tokenizer::encode`] does.
    pub fn encode_bare(&self, text: &str) -> Result<Vec<u32>> {
        self.checked(self.ids(false, text)?)
    }

    /// Returns the ids of a text as [`Tokenizer::encode_bare`] does, but treats special tokens as ordinary
    /// text (Hugging Face's `split_special_tokens`). Tokens that were added to a vocabulary without being
    /// special are still found.
    ///
    /// # Errors
    /// Fails as [`Tokenizer::encode`] does.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>> {
        self.checked(self.ids(true, text)?)
    }

    /// Returns the ids of the beginning of a text as [`Tokenizer::encode`] does, and whether they are all ids
    /// of the text. If not, they are more than `most`. A long text is read only as far as it is needed.
    ///
    /// # Errors
    /// Fails as [`Tokenizer::encode`] does.
    pub fn encode_beginning(&self, text: &str, most: usize) -> Result<(Vec<u32>, bool)> {
        let (ids, is_all) = self.first_ids(false, text, most)?;
        Ok((self.checked(self.special_tokens.around(&ids))?, is_all))
    }

    /// Returns the ids of a text. With `plain`, special tokens are ordinary text.
    fn ids(&self, plain: bool, text: &str) -> Result<Vec<u32>> {
        Ok(self.first_ids(plain, text, usize::MAX)?.0)
    }

    /// Returns more than `most` ids of the beginning of a text, or all of them, and whether they are all.
    fn first_ids(&self, plain: bool, text: &str, most: usize) -> Result<(Vec<u32>, bool)> {
        let mut ids = Vec::new();
        for passage in self.borders.passages(text) {
            if ids.len() > most {
                return Ok((ids, false));
            }
            let passage = passage.map_err(|reason| Error::LongPassage { file: self.file.clone(), reason })?;
            ids.extend(self.passage_ids(plain, passage)?);
        }
        Ok((ids, true))
    }

    /// Returns the ids of a passage, which is split and merged at once.
    fn passage_ids(&self, plain: bool, text: &str) -> Result<Vec<u32>> {
        let failed = |reason: String| Error::Encode { file: self.file.clone(), reason };
        let crashed = || match &self.expression {
            Some(expression) => failed(format!("its expression `{expression}` takes too long or crashes")),
            None => failed("the tokenizer crashes on it".into()),
        };
        let split = match self.expression {
            Some(_) => self.splitter.split_in_time(plain, text).ok_or_else(crashed)?,
            None => guarded(|| self.splitter.split(plain, text)).map_err(|_| crashed())?,
        };
        let merge = |mut parts: PreTokenizedString| {
            parts.tokenize(|part| self.model.tokenize(part.get()))?;
            Ok(parts.into_encoding(None, 0, OffsetType::None)?.get_ids().to_vec())
        };
        let parts = split.map_err(|e| failed(e.to_string()))?;
        let merged: tokenizers::Result<Vec<u32>> = guarded(|| merge(parts)).map_err(|_| crashed())?;
        merged.map_err(|e| failed(e.to_string()))
    }

    /// Returns the ids if the model has all of them.
    fn checked(&self, ids: Vec<u32>) -> Result<Vec<u32>> {
        match ids.iter().find(|id| **id as usize >= self.vocab_size) {
            None => Ok(ids),
            Some(id) => Err(Error::TokenBeyondModel {
                file: self.file.clone(),
                token: self.token(*id).unwrap_or_else(|| "?".into()),
                id: *id,
                vocab_size: self.vocab_size,
            }),
        }
    }

    /// Returns the text of `ids`. Special tokens and ids without a token are left out. Bytes that are not
    /// UTF-8 become U+FFFD: one for each sequence that cannot become a character. If encoding puts a space
    /// before a text, decoding removes it.
    ///
    /// # Errors
    /// Returns an error if an id is outside the model's vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let mut bytes = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            bytes.extend(self.bytes(*id, index)?);
        }
        let dropped = usize::from(self.spelling.strips() && bytes.first() == Some(&b' '));
        Ok(String::from_utf8_lossy(&bytes[dropped..]).into_owned())
    }

    /// Returns the bytes to which `id` decodes. `index` is its position among the ids to decode, for the
    /// error message.
    pub(crate) fn bytes(&self, id: u32, index: usize) -> Result<&[u8]> {
        if id as usize >= self.vocab_size {
            return Err(Error::TokenOutOfVocabulary { id, index, vocab_size: self.vocab_size });
        }
        Ok(self.pieces.get(id))
    }

    /// Returns a decoder for ids that arrive one by one.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream::new(self)
    }

    /// Returns the id of a token as the vocabulary writes it; `None` if there is no such token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.splitter.parsing.token_to_id(token, &self.model)
    }

    /// Returns the token of an id as the vocabulary writes it (`Ġthe`, `▁the`, `<0x0A>`); `None` if the id
    /// has no token.
    pub fn token(&self, id: u32) -> Option<String> {
        let added =
            self.splitter.parsing.get_added_tokens_decoder().get(&id).map(|token| token.content.clone());
        added.or_else(|| self.model.id_to_token(id))
    }

    /// Returns whether an id is a special token, which has no text.
    pub fn is_special(&self, id: u32) -> bool {
        self.splitter.parsing.get_added_tokens_decoder().get(&id).is_some_and(|token| token.special)
    }

    /// Returns the ids with a role, as far as they are known. `bos` is [`TokenizerOptions::bos`], or else the
    /// id that the tokenizer's file names.
    pub fn special_ids(&self) -> SpecialIds {
        self.special
    }

    /// Returns the special tokens that [`Tokenizer::encode`] adds before and after every text.
    pub fn special_tokens(&self) -> &SpecialTokens {
        &self.special_tokens
    }

    /// Returns what was accepted with a doubt when the tokenizer was read, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns whether a GGUF file did not name its pre-tokenizer, so that Llama 3's was assumed. This gives
    /// the ids of Hugging Face's tokenizer for BitNet b1.58 2B-4T; bitnet.cpp uses its own default for such
    /// files and gives different ids.
    pub fn assumes_pre_tokenizer(&self) -> bool {
        self.assumes_pre
    }

    /// Returns the number of ids of the model ([`TokenizerOptions::vocab_size`]), whether or not they have
    /// tokens.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Returns the number of ids that have a token.
    pub fn len(&self) -> usize {
        self.pieces.ids().len()
    }

    /// Returns whether no id has a token. This is always false, because such a file is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the largest id that has a token.
    pub fn largest_id(&self) -> u32 {
        self.pieces.ids().last().copied().unwrap_or_default()
    }

    /// Returns the ranges of ids that have no token, ascending. The vocabulary of a model is often padded at
    /// the end. A gap in the middle, or a large gap, indicates that the tokenizer belongs to another model.
    pub fn missing_ids(&self) -> Vec<Range<u32>> {
        let end = u32::try_from(self.vocab_size).unwrap_or(u32::MAX);
        let (mut missing, mut next) = (Vec::new(), 0);
        let inside = self.pieces.ids().iter().copied().filter(|id| *id < end);
        for id in inside.chain([end]) {
            if next < id {
                missing.push(next..id);
            }
            next = id.saturating_add(1);
        }
        missing
    }
}
