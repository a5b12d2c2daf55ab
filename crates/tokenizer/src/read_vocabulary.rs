//! Builds a tokenizer from the vocabulary of a GGUF file.

use std::collections::BTreeMap;

use tokenizers::{
    AddedToken, NormalizerWrapper,
    models::bpe::{Merges, Vocab},
    normalizers::{Prepend, Replace, Sequence},
};

use crate::{
    Error, Result, SpecialIds, SpecialTokens, TokenType, Tokenizer, TokenizerOptions, Vocabulary,
    assemble::TokenizerParts,
    merges::{all_merges, splits},
    pre_tokenizer::PreTokenizer,
    spelling::{SPACE, Spelling, byte_piece},
};

impl Tokenizer {
    /// Builds a tokenizer from a vocabulary as GGUF files have it. Errors name `file`.
    ///
    /// A `gpt2` vocabulary that does not name its pre-tokenizer is assumed to split texts as Llama 3 does;
    /// see [`Tokenizer::assumes_pre_tokenizer`]. Unused tokens are left out.
    ///
    /// # Errors
    /// Returns an error if lists differ in length, a token or an id appears twice, a merge lacks a token, the
    /// type or the pre-tokenizer is unknown, or an id is outside the model's vocabulary.
    pub fn from_vocabulary(
        vocabulary: Vocabulary,
        file: &str,
        options: &TokenizerOptions,
    ) -> Result<Tokenizer> {
        parts(vocabulary, BTreeMap::new(), file)?.assemble(options)
    }
}

/// Returns the parts of the tokenizer of a vocabulary. `details` describes some added tokens more exactly
/// than the vocabulary can.
pub(crate) fn parts(
    vocabulary: Vocabulary,
    details: BTreeMap<u32, AddedToken>,
    file: &str,
) -> Result<TokenizerParts> {
    let checked = CheckedVocabulary::new(vocabulary, details, file)?;
    match checked.vocabulary.model.as_str() {
        "gpt2" => checked.byte_level(),
        "llama" => checked.sentencepiece(),
        model => Err(Error::unsupported(file, "vocabulary", model, "gpt2, llama")),
    }
}

/// The names of the pre-tokenizers with which llama.cpp puts the first token before every text, unless the
/// file says otherwise (`llama_vocab::impl::load` in `src/llama-vocab.cpp`).
const ADD_BOS: [&str; 9] = [
    "llama3",
    "llama-v3",
    "llama-bpe",
    "falcon3",
    "falcon-h1",
    "pixtral",
    "midm-2.0",
    "lfm2",
    "jina-v5-nano",
];

/// A vocabulary whose lists have the same length.
struct CheckedVocabulary<'a> {
    vocabulary: Vocabulary,
    details: BTreeMap<u32, AddedToken>,
    types: Vec<TokenType>,
    /// The ids of the first and the last token. llama.cpp assumes 1 and 2 in a SentencePiece vocabulary that
    /// names none.
    ends: [Option<u32>; 2],
    file: &'a str,
}

impl<'a> CheckedVocabulary<'a> {
    /// Checks that the lists have the same length and that all token types are known.
    fn new(mut vocabulary: Vocabulary, details: BTreeMap<u32, AddedToken>, file: &'a str) -> Result<Self> {
        let wrong = |reason: String| Err(Error::tokenizer(file, reason));
        let count = vocabulary.tokens.len();
        let lists = [("types", vocabulary.token_types.len()), ("scores", vocabulary.scores.len())];
        if let Some((list, found)) = lists.into_iter().find(|(_, found)| *found != 0 && *found != count) {
            return wrong(format!("it has {count} tokens but {found} {list}"));
        }
        // Some files have the id -1, which means that there is no such token.
        let valid_id = |id: Option<u32>| id.filter(|id| (*id as usize) < count);
        let SpecialIds { bos, eos, unk, pad } = vocabulary.special;
        let assumed = |id: Option<u32>, otherwise: u32| {
            valid_id(if vocabulary.model == "llama" { id.or(Some(otherwise)) } else { id })
        };
        let ends = [assumed(bos, 1), assumed(eos, 2)];
        vocabulary.special =
            SpecialIds { bos: valid_id(bos), eos: valid_id(eos), unk: valid_id(unk), pad: valid_id(pad) };
        let mut types = vec![TokenType::Normal; count];
        for (id, code) in vocabulary.token_types.iter().enumerate() {
            types[id] = match TokenType::from_code(*code) {
                Some(kind) => kind,
                // Some converters leave out the type of plain tokens.
                None if *code == 0 => TokenType::Normal,
                None => return wrong(format!("token {id} has the type {code}, but types are 1 to 6")),
            };
        }
        for (kind, token) in types.iter_mut().zip(&vocabulary.tokens) {
            if token.is_empty() {
                *kind = TokenType::Unused;
            }
        }
        Ok(CheckedVocabulary { vocabulary, details, types, ends, file })
    }

    /// Returns the tokens of some types, in ascending order of their ids.
    fn tokens_of_type(&self, wanted: &[TokenType]) -> impl Iterator<Item = (u32, &str)> {
        let tokens = (0..).zip(&self.vocabulary.tokens).zip(&self.types);
        tokens.filter(|(_, kind)| wanted.contains(kind)).map(|((id, token), _)| (id, token.as_str()))
    }

    /// Returns the parts of a byte-level tokenizer.
    fn byte_level(self) -> Result<TokenizerParts> {
        let declared = self.vocabulary.pre.as_deref().map(|name| PreTokenizer::from_name(name, self.file));
        let pre_tokenizer = declared.transpose()?.unwrap_or(PreTokenizer::Llama3);
        let merges =
            self.vocabulary.merges.iter().map(|line| pair(line, self.file)).collect::<Result<_>>()?;
        Ok(TokenizerParts {
            merges,
            ignore_merges: pre_tokenizer.ignores_merges(),
            pre_tokenizer: Some(pre_tokenizer.build()),
            assumes_pre: self.vocabulary.pre.is_none(),
            ..self.parts(Spelling::ByteLevel)
        })
    }

    /// Returns the parts of a SentencePiece tokenizer.
    fn sentencepiece(self) -> Result<TokenizerParts> {
        if self.vocabulary.scores.is_empty() {
            return Err(Error::tokenizer(self.file, "it has no scores, which decide the order of merges"));
        }
        for (id, piece) in self.tokens_of_type(&[TokenType::Byte]) {
            if byte_piece(piece).is_none_or(|byte| piece != format!("<{byte:#04X}>")) {
                let reason = format!("byte piece {id} is `{piece}`, but byte pieces are written like <0x0A>");
                return Err(Error::tokenizer(self.file, reason));
            }
        }
        if let Some((id, piece)) =
            self.tokens_of_type(&[TokenType::UserDefined]).find(|(_, p)| p.contains(SPACE))
        {
            let reason =
                format!("user-defined piece {id} is `{piece}`, but such pieces may not contain spaces");
            return Err(Error::tokenizer(self.file, reason));
        }
        let byte_fallback = self.tokens_of_type(&[TokenType::Byte]).next().is_some();
        let unknown = self.unknown();
        if !byte_fallback && unknown.is_none() {
            return Err(Error::tokenizer(self.file, "it has neither byte pieces nor an unknown token"));
        }
        let prefix = self.vocabulary.add_space_prefix.unwrap_or(true);
        let spelling = Spelling::SentencePiece { strip: prefix };
        let (merges, note) = self.merges_by_score()?;
        let mut common = self.parts(spelling);
        common.notes.extend(note);
        Ok(TokenizerParts {
            merges,
            unk_token: unknown.map(String::from),
            fuse_unk: true,
            byte_fallback,
            normalizer: Some(spaces(prefix)),
            scores: Some(self.vocabulary.scores.clone()),
            ..common
        })
    }

    /// Returns the token for text that the vocabulary cannot represent, if there is one.
    fn unknown(&self) -> Option<&str> {
        let by_role = self.vocabulary.special.unk.and_then(|id| self.vocabulary.tokens.get(id as usize));
        let by_type = || self.tokens_of_type(&[TokenType::Unknown]).next().map(|(_, token)| token);
        by_role.map(String::as_str).or_else(by_type)
    }

    /// Returns the merges in the order of the scores: all ways to make the piece with the best score come
    /// first. A note says that pieces share a score.
    fn merges_by_score(&self) -> Result<(Merges, Option<String>)> {
        let pieces = || self.tokens_of_type(&[TokenType::Normal]);
        let parts: Vocab = pieces().map(|(id, piece)| (piece.to_string(), id)).collect();
        let scored = |(id, piece)| (piece, self.vocabulary.scores[id as usize]);
        let merges = all_merges(pieces().map(scored), &parts, self.file)?;
        let made = pieces().map(scored).filter(|(piece, _)| splits(piece, &parts).next().is_some());
        let mut made: Vec<(&str, f32)> = made.collect();
        made.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let mut shared = made.windows(2).filter(|pair| pair[0].1 == pair[1].1).peekable();
        let example = shared.peek().map(|pair| format!("`{}` and `{}`", pair[0].0, pair[1].0));
        if made.len() > 1 && shared.count() == made.len() - 1 {
            let reason = "its scores are all the same, so they do not say which pieces are merged first";
            return Err(Error::tokenizer(self.file, reason));
        }
        let note = example.map(|example| {
            format!(
                "{}: pieces share a score, such as {example}; they are merged in the order of transformers, so \
                 llama.cpp and sentencepiece may give other ids",
                self.file
            )
        });
        Ok((merges, note))
    }

    /// Returns the tokens before and after every text, by the rules of llama.cpp. A note says that a token
    /// is missing.
    fn special_tokens(&self, spelling: Spelling) -> (SpecialTokens, Vec<String>) {
        let Vocabulary { pre, add_bos, add_eos, .. } = &self.vocabulary;
        let [bos, eos] = self.ends;
        let by_default =
            spelling != Spelling::ByteLevel || pre.as_deref().is_some_and(|pre| ADD_BOS.contains(&pre));
        let mut notes = Vec::new();
        let mut ids = |flag: Option<bool>, by_default: bool, id: Option<u32>, role: &str| -> Vec<u32> {
            if flag == Some(true) && id.is_none() {
                notes.push(format!(
                    "{}: `add_{role}_token` is true, but no token is named by `{role}_token_id`, so none is added",
                    self.file
                ));
            }
            id.filter(|_| flag.unwrap_or(by_default)).into_iter().collect()
        };
        let before = ids(*add_bos, by_default, bos, "bos");
        let after = ids(*add_eos, false, eos, "eos");
        (SpecialTokens { before, after }, notes)
    }

    /// Returns the parts that both families have in common.
    fn parts(&self, spelling: Spelling) -> TokenizerParts {
        use TokenType::*;
        let (special_tokens, notes) = self.special_tokens(spelling);
        let added = |(id, token): (u32, &str)| {
            let plain = || AddedToken::from(token, self.types[id as usize] != UserDefined).normalized(false);
            (id, self.details.get(&id).cloned().unwrap_or_else(plain))
        };
        TokenizerParts {
            file: self.file.into(),
            // As in llama.cpp, merging may make tokens of every type.
            tokens: self
                .tokens_of_type(&[Normal, Byte, Control, UserDefined, Unknown])
                .map(|(id, token)| (token.to_string(), id))
                .collect(),
            merges: Vec::new(),
            added: self.tokens_of_type(&[Control, UserDefined, Unknown]).map(added).collect(),
            unk_token: None,
            fuse_unk: false,
            byte_fallback: false,
            ignore_merges: false,
            normalizer: None,
            pre_tokenizer: None,
            spelling,
            special: self.vocabulary.special,
            special_tokens,
            notes,
            assumes_pre: false,
            scores: None,
        }
    }
}

/// Returns the two tokens of a merge. As in llama.cpp, the first one may begin with a space.
fn pair(line: &str, file: &str) -> Result<(String, String)> {
    let after_first = line.chars().next().map_or(0, char::len_utf8);
    let space = line[after_first..].find(' ').map(|at| after_first + at);
    match space.map(|at| (&line[..at], &line[at + 1..])) {
        Some((left, right)) if !right.is_empty() => Ok((left.into(), right.into())),
        _ => {
            Err(Error::tokenizer(file, format!("the merge `{line}` is not two tokens with a space between")))
        }
    }
}

/// Returns a normalizer that writes `▁` for every space and, if `prefix` is true, puts a `▁` before the text.
fn spaces(prefix: bool) -> NormalizerWrapper {
    let prepend = prefix.then(|| NormalizerWrapper::from(Prepend::new(SPACE.into())));
    let replace = Replace::new(" ", SPACE.to_string()).expect("a valid expression").into();
    Sequence::new(prepend.into_iter().chain([replace]).collect()).into()
}
