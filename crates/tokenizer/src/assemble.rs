//! Builds a tokenizer from its parts, after checking them. The reader of every file format produces these
//! parts.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tokenizers::{
    AddedToken, AddedVocabulary, NormalizerWrapper, PreTokenizerWrapper,
    models::bpe::{BPE, Merges, Vocab},
};

use crate::{
    Error, Result, SpecialIds, SpecialTokens, Tokenizer, TokenizerOptions,
    guard::guarded,
    passages::Borders,
    pieces::{Pieces, TokenText},
    spelling::{Spelling, byte_piece},
    splitter::Splitter,
};

/// The parts of a tokenizer, as read from a file.
pub(crate) struct TokenizerParts {
    /// The name of the file, for error messages.
    pub(crate) file: String,
    /// The tokens of the BPE model and their ids, which may include added tokens.
    pub(crate) tokens: Vec<(String, u32)>,
    /// The pairs to merge, in order of priority.
    pub(crate) merges: Merges,
    /// The tokens that are found in a text before anything else. They need not be among `tokens`.
    pub(crate) added: Vec<(u32, AddedToken)>,
    pub(crate) unk_token: Option<String>,
    pub(crate) fuse_unk: bool,
    pub(crate) byte_fallback: bool,
    pub(crate) ignore_merges: bool,
    pub(crate) normalizer: Option<NormalizerWrapper>,
    pub(crate) pre_tokenizer: Option<PreTokenizerWrapper>,
    pub(crate) spelling: Spelling,
    pub(crate) special: SpecialIds,
    /// The tokens before and after every text.
    pub(crate) special_tokens: SpecialTokens,
    /// What was accepted with a doubt, one sentence each.
    pub(crate) notes: Vec<String>,
    pub(crate) assumes_pre: bool,
    /// The scores of the pieces by id, if the merges were derived from scores.
    pub(crate) scores: Option<Vec<f32>>,
}

/// The largest id that a file may have; a larger one is treated as damage.
const LARGEST_ID: u32 = (1 << 24) - 1;

impl TokenizerParts {
    /// Returns the id of a token; `None` if there is no such token.
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        let added = self.added.iter().find(|(_, added)| added.content == token).map(|(id, _)| *id);
        added.or_else(|| self.tokens.iter().find(|(known, _)| known == token).map(|(_, id)| *id))
    }

    /// Returns the first id after those of all tokens, which the next new token gets.
    pub(crate) fn next_id(&self) -> u32 {
        let ids = self.tokens.iter().map(|(_, id)| *id).chain(self.added.iter().map(|(id, _)| *id));
        ids.max().map_or(0, |largest| largest.saturating_add(1))
    }

    /// Checks that ids are unique and inside the model's vocabulary and that every merge makes a token.
    /// Returns the tokenizer.
    pub(crate) fn assemble(mut self, options: &TokenizerOptions) -> Result<Tokenizer> {
        let (ids, only_added) = self.ids_by_token()?;
        self.check_ids(options.vocab_size)?;
        self.check_merges()?;
        let merges = self.merge_ids(&ids)?;
        let pieces = self.pieces();
        let added = std::mem::take(&mut self.added).into_iter().map(|(_, token)| token);
        // Added tokens that the model lacks keep the ids that the file gives them, even if there are gaps
        // between the ids, but merging never makes them.
        let all = BPE::builder().vocab_and_merges(ids.clone(), Vec::new()).build();
        let mut own = ids;
        own.retain(|token, _| !only_added.contains(token));
        let model = BPE::builder()
            .vocab_and_merges(own, self.merges)
            .fuse_unk(self.fuse_unk)
            .byte_fallback(self.byte_fallback)
            .ignore_merges(self.ignore_merges);
        let model = match self.unk_token {
            Some(token) => model.unk_token(token),
            None => model,
        };
        let file = self.file;
        let failed = |e: tokenizers::Error| Error::tokenizer(&file, e.to_string());
        let crashed = |_| Error::tokenizer(&file, "the tokenizer crashes on its tokens");
        let (model, all) = (model.build().map_err(failed)?, all.map_err(failed)?);
        let mut parsing = AddedVocabulary::new();
        guarded(|| parsing.add_tokens(added, &all, self.normalizer.as_ref()))
            .map_err(crashed)?
            .map_err(failed)?;
        let mut plain = parsing.clone();
        plain.set_encode_special_tokens(true);
        let has_spaced_added = parsing.get_added_tokens_decoder().values().any(|token| {
            token.lstrip || token.rstrip || token.content.contains(|c: char| c.is_whitespace() || c == '▁')
        });
        let splitter =
            Splitter { normalizer: self.normalizer, pre_tokenizer: self.pre_tokenizer, parsing, plain };
        let borders = Borders::new(
            splitter.normalizer.as_ref(),
            splitter.pre_tokenizer.as_ref(),
            self.tokens.iter().map(|(token, _)| token.as_str()),
            has_spaced_added,
        );
        let expression = splitter.unknown_expression();
        Ok(Tokenizer {
            model,
            merges,
            splitter: Arc::new(splitter),
            borders,
            expression,
            pieces,
            spelling: self.spelling,
            special: SpecialIds { bos: options.bos.or(self.special.bos), ..self.special },
            special_tokens: self.special_tokens,
            notes: self.notes,
            assumes_pre: self.assumes_pre,
            scores: self.scores,
            vocab_size: options.vocab_size,
            file,
        })
    }

    /// Returns the id of every token, including added ones, and the added tokens that the model lacks.
    /// Afterwards `self.tokens` contains all tokens, sorted by id.
    fn ids_by_token(&mut self) -> Result<(Vocab, HashSet<String>)> {
        let mut only_added = HashSet::new();
        let mut ids = Vocab::with_capacity(self.tokens.len() + self.added.len());
        for (token, id) in &self.tokens {
            if let Some(other) = ids.insert(token.clone(), *id) {
                return Err(self.wrong(format!("the token `{token}` has the ids {other} and {id}")));
            }
        }
        for (id, AddedToken { content, .. }) in &self.added {
            if content.is_empty() {
                return Err(self.wrong(format!("the added token with id {id} is empty")));
            }
            match ids.insert(content.clone(), *id) {
                None => {
                    self.tokens.push((content.clone(), *id));
                    only_added.insert(content.clone());
                }
                Some(other) if other == *id => {}
                Some(other) => {
                    return Err(self.wrong(format!("the token `{content}` has the ids {other} and {id}")));
                }
            }
        }
        self.tokens.sort_unstable_by_key(|(_, id)| *id);
        Ok((ids, only_added))
    }

    /// Checks that ids are unique and that most of them are inside the model's vocabulary. A note names the
    /// others. `self.tokens` must be sorted by id.
    fn check_ids(&mut self, vocab_size: usize) -> Result<()> {
        let Some((_, largest)) = self.tokens.last() else {
            return Err(self.wrong("it has no tokens"));
        };
        let first = self.tokens.partition_point(|(_, id)| (*id as usize) < vocab_size);
        let (inside, beyond) = self.tokens.split_at(first);
        if beyond.len() > inside.len() || *largest > LARGEST_ID {
            let file = self.file.clone();
            return Err(Error::TokenizerVocabulary { file, largest: *largest, vocab_size });
        }
        if let [(token, id), ..] = beyond {
            let others = match beyond.len() {
                1 => String::new(),
                count => format!(" and {} others", count - 1),
            };
            self.notes.push(format!(
                "{}: the token `{token}` ({id}){others} is beyond the {vocab_size} ids of the model, so texts that \
                 contain it cannot be encoded",
                self.file
            ));
        }
        match self.tokens.windows(2).find(|pair| pair[0].1 == pair[1].1) {
            Some([(a, id), (b, _)]) => {
                Err(self.wrong(format!("the tokens `{a}` and `{b}` share the id {id}")))
            }
            _ => Ok(()),
        }
    }

    /// Checks that there are merges if a token of the model is made of several characters.
    fn check_merges(&self) -> Result<()> {
        let added: HashSet<u32> = self.added.iter().map(|(id, _)| *id).collect();
        let is_long = |(token, id): &&(String, u32)| {
            let byte = self.byte_fallback && byte_piece(token).is_some();
            token.chars().nth(1).is_some() && !added.contains(id) && !byte
        };
        match self.tokens.iter().find(is_long) {
            Some((token, _)) if self.merges.is_empty() => Err(self.wrong(format!(
                "it has no merges, so the token `{token}` and all others of several characters would never be used"
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the ids of the two tokens of each merge.
    ///
    /// # Errors
    /// Returns an error if a token or the merged token does not exist.
    fn merge_ids(&self, ids: &Vocab) -> Result<Vec<(u32, u32)>> {
        let mut whole = String::new();
        let find = |a: &str, b: &str, token: &str| {
            ids.get(token).copied().ok_or_else(|| {
                self.wrong(format!(
                    "the merge of `{a}` and `{b}` needs the token `{token}`, which the file lacks"
                ))
            })
        };
        let merge = |(a, b): &(String, String)| {
            let pair = (find(a, b, a)?, find(a, b, b)?);
            whole.clear();
            whole.push_str(a);
            whole.push_str(b);
            find(a, b, &whole).map(|_| pair)
        };
        self.merges.iter().map(merge).collect()
    }

    /// Returns the bytes of every token.
    fn pieces(&self) -> Pieces {
        let added: HashMap<u32, bool> = self.added.iter().map(|(id, token)| (*id, token.special)).collect();
        let token_text = |id| match added.get(&id) {
            Some(true) => TokenText::Hidden,
            // In a SentencePiece tokenizer, `▁` is a space in an added token too.
            Some(false) if self.spelling == Spelling::ByteLevel => TokenText::Literal,
            _ => TokenText::Spelt,
        };
        let tokens = self.tokens.iter().map(|(token, id)| (*id, token.as_str(), token_text(*id)));
        Pieces::new(self.spelling, tokens)
    }

    /// Returns an error that says what is wrong with the file.
    fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::tokenizer(&self.file, reason)
    }
}
