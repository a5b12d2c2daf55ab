//! Exports a tokenizer as the vocabulary of a GGUF file, if such a vocabulary gives the same ids.

use serde_json::Value;
use tokenizers::{AddedToken, Model};

use crate::{
    Error, Result, SpecialIds, TokenType, Tokenizer, Vocabulary,
    pre_tokenizer::PreTokenizer,
    spelling::{Spelling, byte_piece, prepends, replaces_spaces, steps},
};

/// The largest number of ids that is exported, which is more than any model has. A vocabulary is padded to
/// the size of the model, so this number limits the memory.
const MOST_IDS: usize = 1 << 24;

impl Tokenizer {
    /// Returns the vocabulary for a GGUF file of the same model, with which llama.cpp and
    /// [`Tokenizer::from_vocabulary`] give the same ids as this tokenizer. Ids without a token, up to
    /// [`Tokenizer::vocab_size`], become unused tokens named `[PADn]`.
    ///
    /// # Errors
    /// Returns an error if no such vocabulary gives the same ids.
    pub fn vocabulary(&self) -> Result<Vocabulary> {
        if self.vocab_size > MOST_IDS {
            return Err(self.inexact(format!("the model claims {} ids", self.vocab_size)));
        }
        let depends_on_context = |token: &&AddedToken| {
            let rewritten = token.normalized && !token.special && self.splitter.normalizer.is_some();
            token.lstrip || token.rstrip || token.single_word || rewritten
        };
        let mut added: Vec<_> =
            self.splitter.parsing.get_added_tokens_decoder().values().filter(depends_on_context).collect();
        added.sort_by(|a, b| a.content.cmp(&b.content));
        if let Some(token) = added.first() {
            return Err(self.inexact(format!("its token `{}` depends on the text around it", token.content)));
        }
        let [bos, eos] = [("begins", &self.special_tokens.before), ("ends", &self.special_tokens.after)]
            .map(|(place, ids)| self.only_special_token(place, ids));
        let (bos, eos) = (bos?, eos?);
        let tokens =
            (0..self.vocab_size as u32).map(|id| self.token(id).unwrap_or_else(|| format!("[PAD{id}]")));
        let vocabulary = Vocabulary {
            tokens: tokens.collect(),
            token_types: (0..self.vocab_size as u32).map(|id| self.token_type(id) as i32).collect(),
            special: SpecialIds {
                bos: bos.or(self.special.bos),
                eos: eos.or(self.special.eos),
                ..self.special
            },
            add_bos: Some(bos.is_some()),
            add_eos: Some(eos.is_some()),
            ..Vocabulary::default()
        };
        match self.spelling {
            Spelling::ByteLevel => self.byte_level(vocabulary),
            Spelling::SentencePiece { .. } => self.sentencepiece(vocabulary),
        }
    }

    /// Returns the only token of `ids`; `None` if it is empty. GGUF files cannot describe several.
    fn only_special_token(&self, place: &str, ids: &[u32]) -> Result<Option<u32>> {
        match ids {
            [] => Ok(None),
            [id] => Ok(Some(*id)),
            ids => {
                let tokens: Vec<String> = ids.iter().map(|id| self.token(*id).unwrap_or_default()).collect();
                Err(self.inexact(format!("every text {place} with several tokens ({})", tokens.join(", "))))
            }
        }
    }

    /// Returns the type of the token of an id.
    fn token_type(&self, id: u32) -> TokenType {
        let sentencepiece = self.spelling != Spelling::ByteLevel;
        let unknown = sentencepiece && self.special.unk == Some(id);
        let Some(token) = self.token(id) else { return TokenType::Unused };
        match self.splitter.parsing.get_added_tokens_decoder().get(&id) {
            Some(AddedToken { special: false, .. }) => TokenType::UserDefined,
            _ if unknown => TokenType::Unknown,
            Some(_) => TokenType::Control,
            None if sentencepiece && self.model.byte_fallback && byte_piece(&token).is_some() => {
                TokenType::Byte
            }
            None => TokenType::Normal,
        }
    }

    /// Completes the vocabulary of a byte-level tokenizer.
    fn byte_level(&self, vocabulary: Vocabulary) -> Result<Vocabulary> {
        let json = self.pre_tokenizer_json();
        let Some(pre_tokenizer) = PreTokenizer::recognise(&json) else {
            return Err(
                self.inexact(format!("its pre-tokenizer has no name in GGUF files: {}", shortened(&json)))
            );
        };
        if self.splitter.normalizer.is_some() {
            return Err(self.inexact("it changes texts before splitting them (`normalizer`)"));
        }
        if pre_tokenizer.ignores_merges() != self.model.ignore_merges
            && let Some(token) = self.unmergeable()
        {
            let reason = format!(
                "its token `{token}` depends on `ignore_merges`, for which `{}` has the other setting",
                pre_tokenizer.name()
            );
            return Err(self.inexact(reason));
        }
        let side = |id: u32| self.token(id).unwrap_or_default();
        let inside = |token: &str| self.id(token).is_some_and(|id| (id as usize) < self.vocab_size);
        let sides = self.merges.iter().map(|(left, right)| (side(*left), side(*right)));
        let usable =
            sides.filter(|(left, right)| inside(left) && inside(right) && inside(&format!("{left}{right}")));
        let merges = usable.map(|(left, right)| format!("{left} {right}"));
        let (model, pre) = ("gpt2".into(), Some(pre_tokenizer.name().into()));
        Ok(Vocabulary { model, pre, merges: merges.collect(), ..vocabulary })
    }

    /// Returns a token that the merges do not make from its own text, if there is one.
    fn unmergeable(&self) -> Option<String> {
        let mut merging = self.model.clone();
        merging.ignore_merges = false;
        let added = self.splitter.parsing.get_added_tokens_decoder();
        let inside = |id: &&u32| (**id as usize) < self.vocab_size && !added.contains_key(*id);
        let normal = self.pieces.ids().iter().filter(inside);
        normal.filter_map(|id| Some((id, self.token(*id)?))).find_map(|(id, token)| {
            let ids = merging.tokenize(&token).ok()?;
            (ids.len() != 1 || ids[0].id != *id).then_some(token)
        })
    }

    /// Completes the vocabulary of a SentencePiece tokenizer.
    fn sentencepiece(&self, vocabulary: Vocabulary) -> Result<Vocabulary> {
        let prefix = self.space_prefix().ok_or_else(|| {
            let parts = serde_json::json!([self.splitter.normalizer, self.splitter.pre_tokenizer]);
            self.inexact(format!(
                "it treats spaces in a way that GGUF files cannot describe: {}",
                shortened(&parts)
            ))
        })?;
        if self.model.ignore_merges {
            return Err(self.inexact("it looks up whole texts as tokens (`ignore_merges`)"));
        }
        let bytes = vocabulary.token_types.iter().filter(|kind| **kind == TokenType::Byte as i32).count();
        if bytes != 256 {
            return Err(self.inexact(format!("it has {bytes} byte pieces instead of 256")));
        }
        let mut scores = match &self.scores {
            Some(scores) => scores.clone(),
            None => self.scores_of_merges(&vocabulary)?,
        };
        scores.resize(vocabulary.tokens.len(), 0.0);
        let (model, pre) = ("llama".into(), Some("default".into()));
        Ok(Vocabulary { model, pre, scores, add_space_prefix: Some(prefix), ..vocabulary })
    }

    /// Returns whether encoding puts a space before every stretch of text between special tokens; `None` if
    /// spaces are treated in a way that GGUF files cannot describe.
    fn space_prefix(&self) -> Option<bool> {
        let normalizer = serde_json::to_value(&self.splitter.normalizer).ok()?;
        let pre_tokenizer = self.pre_tokenizer_json();
        match (&steps(&normalizer)[..], &steps(&pre_tokenizer)[..]) {
            ([a, b], []) if prepends(a) && replaces_spaces(b) || prepends(b) && replaces_spaces(a) => {
                Some(true)
            }
            ([only], []) if replaces_spaces(only) => Some(false),
            ([], [only]) if only["type"] == "Metaspace" && !prepends(only) && only["split"] == false => {
                Some(false)
            }
            _ => None,
        }
    }

    /// Returns the pre-tokenizer as in a `tokenizer.json`.
    fn pre_tokenizer_json(&self) -> Value {
        serde_json::to_value(&self.splitter.pre_tokenizer).unwrap_or_default()
    }

    /// Returns the error for a tokenizer that no GGUF vocabulary reproduces exactly.
    pub(crate) fn inexact(&self, reason: impl Into<String>) -> Error {
        Error::Export { file: self.file.clone(), reason: reason.into() }
    }
}

/// Returns the first characters of a part of a `tokenizer.json`, for an error message.
fn shortened(part: &Value) -> String {
    let text = part.to_string();
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
