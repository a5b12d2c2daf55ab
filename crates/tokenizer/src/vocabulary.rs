//! The vocabulary of a GGUF file.

use std::collections::BTreeMap;

use tokenizers::{
    AddedToken, NormalizerWrapper,
    models::bpe::{Merges, Vocab},
    normalizers::{Prepend, Replace, Sequence},
};

use crate::{
    Error, Options, Result, Tokenizer,
    assemble::Parts,
    merges::{all_merges, cuts},
    pre_tokenizer::PreTokenizer,
    spelling::{SPACE, Spelling, byte_piece},
};

/// What the metadata `tokenizer.ggml.*` of a GGUF file say. Each list has one entry a token, by id, or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    /// `tokenizer.ggml.model`: `gpt2` for byte-level BPE, `llama` for SentencePiece's BPE.
    pub model: String,
    /// `tokenizer.ggml.pre`, how a text is cut before merging. Only `gpt2` has use for it.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.scores`, the best one to be made first. Only `llama` has use for them.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.token_type`, see [`TokenType`]; all are normal if there are none.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.merges`, two tokens with a space between. Only `gpt2` has use for them.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.bos_token_id` and so on.
    pub special: SpecialIds,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`, for `llama` only, which does if it is not said.
    pub add_space_prefix: Option<bool>,
}

/// Ids with a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpecialIds {
    /// Starts a sequence.
    pub bos: Option<u32>,
    /// Ends a sequence.
    pub eos: Option<u32>,
    /// Stands for what the vocabulary cannot say.
    pub unk: Option<u32>,
    /// Fills up a batch.
    pub pad: Option<u32>,
}

/// Kinds of tokens, as SentencePiece and GGUF number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TokenType {
    /// Text.
    Normal = 1,
    /// Stands for what the vocabulary cannot say.
    Unknown = 2,
    /// A special token, which is no text.
    Control = 3,
    /// Text that is always one token.
    UserDefined = 4,
    /// An id that means nothing.
    Unused = 5,
    /// A byte, written `<0x0A>`.
    Byte = 6,
}

impl TokenType {
    pub(crate) fn of(code: i32) -> Option<TokenType> {
        use TokenType::*;
        [Normal, Unknown, Control, UserDefined, Unused, Byte].into_iter().find(|kind| *kind as i32 == code)
    }
}

impl Tokenizer {
    /// From the vocabulary of a GGUF file, or one like it. `file` is named in errors.
    ///
    /// A `gpt2` vocabulary that does not say how it cuts texts is taken to do so as Llama 3 does; see
    /// [`Tokenizer::assumes_pre_tokenizer`]. Unused tokens are left out.
    ///
    /// # Errors
    /// When lists differ in length, a token or id is there twice, a merge lacks a token, the model or the
    /// pre-tokenizer is unknown, or the model has fewer ids.
    pub fn from_vocabulary(vocabulary: Vocabulary, file: &str, options: &Options) -> Result<Tokenizer> {
        Tokenizer::from_vocabulary_and(vocabulary, BTreeMap::new(), file, options)
    }

    /// The same, with details on some added tokens.
    pub(crate) fn from_vocabulary_and(
        vocabulary: Vocabulary,
        details: BTreeMap<u32, AddedToken>,
        file: &str,
        options: &Options,
    ) -> Result<Tokenizer> {
        let typed = Typed::new(vocabulary, details, file)?;
        let parts = match typed.vocabulary.model.as_str() {
            "gpt2" => typed.byte_level()?,
            "llama" => typed.sentencepiece()?,
            model => {
                let (file, name) = (file.into(), model.into());
                return Err(Error::Unsupported {
                    file,
                    what: "vocabulary",
                    name,
                    known: "gpt2, llama".into(),
                });
            }
        };
        parts.assemble(options)
    }
}

/// A vocabulary whose lists fit together.
struct Typed<'a> {
    vocabulary: Vocabulary,
    details: BTreeMap<u32, AddedToken>,
    types: Vec<TokenType>,
    file: &'a str,
}

impl<'a> Typed<'a> {
    fn new(vocabulary: Vocabulary, details: BTreeMap<u32, AddedToken>, file: &'a str) -> Result<Self> {
        let wrong = |reason: String| Err(Error::tokenizer(file, reason));
        let count = vocabulary.tokens.len();
        let lists = [("types", vocabulary.token_types.len()), ("scores", vocabulary.scores.len())];
        if let Some((list, found)) = lists.into_iter().find(|(_, found)| *found != 0 && *found != count) {
            return wrong(format!("it has {count} tokens but {found} {list}"));
        }
        let mut types = vec![TokenType::Normal; count];
        for (id, code) in vocabulary.token_types.iter().enumerate() {
            types[id] = match TokenType::of(*code) {
                Some(kind) => kind,
                // Some converters leave the type of plain tokens out.
                None if *code == 0 => TokenType::Normal,
                None => return wrong(format!("token {id} has the type {code}, but types are 1 to 6")),
            };
        }
        for (kind, token) in types.iter_mut().zip(&vocabulary.tokens) {
            if token.is_empty() {
                *kind = TokenType::Unused;
            }
        }
        Ok(Typed { vocabulary, details, types, file })
    }

    /// Tokens of some types in ascending order of their ids.
    fn of_type(&self, wanted: &[TokenType]) -> impl Iterator<Item = (u32, &str)> {
        let tokens = (0..).zip(&self.vocabulary.tokens).zip(&self.types);
        tokens.filter(|(_, kind)| wanted.contains(kind)).map(|((id, token), _)| (id, token.as_str()))
    }

    fn byte_level(self) -> Result<Parts> {
        let named = self.vocabulary.pre.as_deref().map(|name| PreTokenizer::named(name, self.file));
        let cut = named.transpose()?.unwrap_or(PreTokenizer::Llama3);
        let merges =
            self.vocabulary.merges.iter().map(|line| pair(line, self.file)).collect::<Result<_>>()?;
        Ok(Parts {
            merges,
            ignore_merges: cut.ignores_merges(),
            pre_tokenizer: Some(cut.build()),
            assumes_pre: self.vocabulary.pre.is_none(),
            ..self.parts(Spelling::ByteLevel)
        })
    }

    fn sentencepiece(self) -> Result<Parts> {
        if self.vocabulary.scores.is_empty() {
            return Err(Error::tokenizer(self.file, "it has no scores, by which its pieces are merged"));
        }
        for (id, piece) in self.of_type(&[TokenType::Byte]) {
            if byte_piece(piece).is_none_or(|byte| piece != format!("<{byte:#04X}>")) {
                let reason = format!("byte piece {id} is `{piece}`, but byte pieces are written like <0x0A>");
                return Err(Error::tokenizer(self.file, reason));
            }
        }
        if let Some((id, piece)) = self.of_type(&[TokenType::UserDefined]).find(|(_, p)| p.contains(SPACE)) {
            let reason = format!("user-defined piece {id} is `{piece}`, but such pieces may not hold spaces");
            return Err(Error::tokenizer(self.file, reason));
        }
        let byte_fallback = self.of_type(&[TokenType::Byte]).next().is_some();
        let unknown = self.unknown();
        if !byte_fallback && unknown.is_none() {
            return Err(Error::tokenizer(self.file, "it has neither byte pieces nor one for the unknown"));
        }
        let prefix = self.vocabulary.add_space_prefix.unwrap_or(true);
        Ok(Parts {
            merges: self.merges_by_score()?,
            unk_token: unknown.map(String::from),
            fuse_unk: true,
            byte_fallback,
            normalizer: Some(spaces(prefix)),
            scores: Some(self.vocabulary.scores.clone()),
            ..self.parts(Spelling::SentencePiece { strip: prefix })
        })
    }

    fn unknown(&self) -> Option<&str> {
        let named = self.vocabulary.special.unk.and_then(|id| self.vocabulary.tokens.get(id as usize));
        named
            .map(String::as_str)
            .or_else(|| self.of_type(&[TokenType::Unknown]).next().map(|(_, token)| token))
    }

    /// Pieces with the best score are made first; of equal ones, those with the lower id.
    fn merges_by_score(&self) -> Result<Merges> {
        let parts: Vocab =
            self.of_type(&[TokenType::Normal]).map(|(id, token)| (token.to_string(), id)).collect();
        let mut pieces: Vec<(u32, &str)> = self.of_type(&[TokenType::Normal]).collect();
        let score = |id: u32| self.vocabulary.scores[id as usize];
        pieces.sort_by(|(a, _), (b, _)| score(*b).total_cmp(&score(*a)));
        let by_rank: Vec<&str> = pieces.iter().map(|(_, piece)| *piece).collect();
        let merges = all_merges(&by_rank, &parts, self.file)?;
        let mut made = pieces.iter().filter(|(_, piece)| cuts(piece, &parts).next().is_some());
        let best = made.next().map(|(id, _)| score(*id));
        let mut others = made.map(|(id, _)| score(*id)).peekable();
        if others.peek().is_some() && others.all(|other| Some(other) == best) {
            let reason = "its scores are all the same, so that nothing says which pieces are merged first";
            return Err(Error::tokenizer(self.file, reason));
        }
        Ok(merges)
    }

    /// What both families have in common.
    fn parts(&self, spelling: Spelling) -> Parts {
        use TokenType::*;
        let added = |(id, token): (u32, &str)| {
            let plain = || AddedToken::from(token, self.types[id as usize] != UserDefined).normalized(false);
            (id, self.details.get(&id).cloned().unwrap_or_else(plain))
        };
        Parts {
            file: self.file.into(),
            tokens: self.of_type(&[Normal, Byte]).map(|(id, token)| (token.to_string(), id)).collect(),
            merges: Vec::new(),
            added: self.of_type(&[Control, UserDefined, Unknown]).map(added).collect(),
            unk_token: None,
            fuse_unk: false,
            byte_fallback: false,
            ignore_merges: false,
            normalizer: None,
            pre_tokenizer: None,
            spelling,
            special: self.vocabulary.special,
            adds_bos: self.vocabulary.add_bos,
            assumes_pre: false,
            scores: None,
        }
    }
}

/// The two sides of a merge. The left one may begin with a space, as far as llama.cpp cares.
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

/// Writes `▁` for spaces, and one more in front of a text if `prefix`.
fn spaces(prefix: bool) -> NormalizerWrapper {
    let prepend = prefix.then(|| NormalizerWrapper::from(Prepend::new(SPACE.into())));
    let replace = Replace::new(" ", SPACE.to_string()).expect("a valid expression").into();
    Sequence::new(prepend.into_iter().chain([replace]).collect()).into()
}
