//! Back to the vocabulary of a GGUF file, if that gives the same ids.

use std::collections::HashSet;

use serde_json::Value;
use tokenizers::{Model, models::bpe::Vocab};

use crate::{
    Error, Result, SpecialIds, TokenType, Tokenizer, Vocabulary,
    merges::cuts,
    pre_tokenizer::PreTokenizer,
    spelling::{Spelling, byte_piece, prepends, replaces_spaces, steps},
};

/// More ids than any model has; a vocabulary is padded up to the model's size.
const MOST_IDS: usize = 1 << 24;

impl Tokenizer {
    /// The vocabulary for a GGUF file of the same model, such that llama.cpp and [`Tokenizer::from_vocabulary`]
    /// give the same ids. Ids that have no token are there as unused ones named `[PADn]`, up to
    /// [`Tokenizer::vocab_size`].
    ///
    /// # Errors
    /// When such a vocabulary cannot say what this tokenizer does.
    pub fn vocabulary(&self) -> Result<Vocabulary> {
        if self.vocab_size > MOST_IDS {
            return Err(self.inexact(format!("the model claims {} ids", self.vocab_size)));
        }
        let touchy = |token: &&tokenizers::AddedToken| token.lstrip || token.rstrip || token.single_word;
        let mut added: Vec<_> = self.parsing.get_added_tokens_decoder().values().filter(touchy).collect();
        added.sort_by(|a, b| a.content.cmp(&b.content));
        if let Some(token) = added.first() {
            return Err(self.inexact(format!("its token `{}` depends on the text around it", token.content)));
        }
        let tokens =
            (0..self.vocab_size as u32).map(|id| self.token(id).unwrap_or_else(|| format!("[PAD{id}]")));
        let vocabulary = Vocabulary {
            tokens: tokens.collect(),
            token_types: (0..self.vocab_size as u32).map(|id| self.token_type(id) as i32).collect(),
            special: SpecialIds { unk: self.special.unk, ..self.special },
            add_bos: self.adds_bos,
            ..Vocabulary::default()
        };
        match self.spelling {
            Spelling::ByteLevel => self.byte_level(vocabulary),
            Spelling::SentencePiece { .. } => self.sentencepiece(vocabulary),
        }
    }

    fn token_type(&self, id: u32) -> TokenType {
        let sentencepiece = self.spelling != Spelling::ByteLevel;
        let Some(token) = self.token(id) else { return TokenType::Unused };
        match self.parsing.get_added_tokens_decoder().get(&id) {
            Some(added) if added.special && sentencepiece && self.special.unk == Some(id) => {
                TokenType::Unknown
            }
            Some(added) if added.special => TokenType::Control,
            Some(_) => TokenType::UserDefined,
            None if sentencepiece && self.model.byte_fallback && byte_piece(&token).is_some() => {
                TokenType::Byte
            }
            None if sentencepiece && self.special.unk == Some(id) => TokenType::Unknown,
            None => TokenType::Normal,
        }
    }

    fn byte_level(&self, vocabulary: Vocabulary) -> Result<Vocabulary> {
        let cut = self.pre_tokenizer_json();
        let Some(known) = PreTokenizer::recognise(&cut) else {
            return Err(self.inexact(format!("its pre-tokenizer has no name there: {}", shortened(&cut))));
        };
        if self.normalizer.is_some() {
            return Err(self.inexact("it changes texts before cutting them (`normalizer`)"));
        }
        if known.ignores_merges() != self.model.ignore_merges
            && let Some(token) = self.unmergeable()
        {
            let reason = format!(
                "its token `{token}` depends on `ignore_merges`, which `{}` has otherwise",
                known.name()
            );
            return Err(self.inexact(reason));
        }
        let merges = self.merges.iter().map(|(left, right)| {
            let side = |id: u32| self.token(id).unwrap_or_default();
            format!("{} {}", side(*left), side(*right))
        });
        let (model, pre) = ("gpt2".into(), Some(known.name().into()));
        Ok(Vocabulary { model, pre, merges: merges.collect(), ..vocabulary })
    }

    /// A token that its own text does not merge to.
    fn unmergeable(&self) -> Option<String> {
        let mut merging = self.model.clone();
        merging.ignore_merges = false;
        let added = self.parsing.get_added_tokens_decoder();
        let normal = self.pieces.ids().iter().filter(|id| !added.contains_key(id));
        normal.filter_map(|id| Some((id, self.token(*id)?))).find_map(|(id, token)| {
            let ids = merging.tokenize(&token).ok()?;
            (ids.len() != 1 || ids[0].id != *id).then_some(token)
        })
    }

    fn sentencepiece(&self, vocabulary: Vocabulary) -> Result<Vocabulary> {
        let prefix = self.space_prefix().ok_or_else(|| {
            let (normalizer, cut) =
                (serde_json::to_value(&self.normalizer).unwrap_or_default(), self.pre_tokenizer_json());
            self.inexact(format!(
                "it treats spaces in its own way: {} {}",
                shortened(&normalizer),
                shortened(&cut)
            ))
        })?;
        if self.model.ignore_merges {
            return Err(self.inexact("it takes whole texts for tokens (`ignore_merges`)"));
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

    /// Whether a space is put before every stretch of text; `None` if spaces are treated in another way than
    /// GGUF has words for.
    fn space_prefix(&self) -> Option<bool> {
        let normalizer = serde_json::to_value(&self.normalizer).ok()?;
        let cut = self.pre_tokenizer_json();
        match (&steps(&normalizer)[..], &steps(&cut)[..]) {
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

    /// Scores such that making the best piece first is what the merges do. That needs all merges of a piece to
    /// follow each other, and every way to cut a piece in two to be one.
    fn scores_of_merges(&self, vocabulary: &Vocabulary) -> Result<Vec<f32>> {
        let normal = |id: &u32| vocabulary.token_types[*id as usize] == TokenType::Normal as i32;
        let token = |id: u32| vocabulary.tokens[id as usize].as_str();
        let all = 0..vocabulary.tokens.len() as u32;
        let ids: Vocab = all.filter(normal).map(|id| (token(id).to_string(), id)).collect();
        let mut rank = vec![None; vocabulary.tokens.len()];
        let (mut made, mut ranks) = (None, 0u32);
        for (left, right) in &self.merges {
            let piece = ids.get(format!("{}{}", token(*left), token(*right)).as_str()).copied();
            let Some(piece) = piece.filter(|piece| made != Some(*piece)) else { continue };
            if rank[piece as usize].replace(ranks).is_some() {
                return Err(self.inexact(format!("merges of `{}` are apart from each other", token(piece))));
            }
            (made, ranks) = (Some(piece), ranks + 1);
        }
        let listed: HashSet<(u32, u32)> = self.merges.iter().copied().collect();
        for id in self.pieces.ids().iter().filter(|id| normal(id)) {
            let lacking = cuts(token(*id), &ids).find(|(a, b)| !listed.contains(&(ids[*a], ids[*b])));
            if let Some((a, b)) = lacking {
                return Err(self.inexact(format!("it never merges `{a}` and `{b}`, but has their whole")));
            }
        }
        Ok(rank.into_iter().map(|rank| -(rank.unwrap_or(ranks) as f32)).collect())
    }

    fn pre_tokenizer_json(&self) -> Value {
        serde_json::to_value(&self.pre_tokenizer).unwrap_or_default()
    }

    fn inexact(&self, reason: impl Into<String>) -> Error {
        Error::Export { file: self.file.clone(), reason: reason.into() }
    }
}

/// A part of a `tokenizer.json` for a message.
fn shortened(part: &Value) -> String {
    let text = part.to_string();
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
