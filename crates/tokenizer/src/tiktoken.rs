//! Reads the tiktoken format of `tokenizer.model`, which Llama 3 uses: each line has a token in base64 and
//! its rank.

use base64::{Engine, engine::general_purpose::STANDARD};
use tokenizers::models::bpe::Vocab;

use crate::{
    Error, Result, SpecialIds, TokenType, Tokenizer, TokenizerOptions, Vocabulary, merges::all_merges,
    spelling::char_of,
};

impl Tokenizer {
    /// Reads a tiktoken file. Texts are split as in Llama 3, and its 256 special tokens follow the ranked
    /// tokens. Errors name `file`.
    ///
    /// # Errors
    /// Returns an error if a line is not a token and its rank, the ranks are not 0, 1, 2 and so on, a byte
    /// has no token, or the tokenizer does not fit the model.
    pub fn from_tiktoken_bytes(bytes: &[u8], file: &str, options: &TokenizerOptions) -> Result<Tokenizer> {
        Tokenizer::from_vocabulary(vocabulary(bytes, file)?, file, options)
    }
}

/// Returns the vocabulary of a tiktoken file.
pub(crate) fn vocabulary(bytes: &[u8], file: &str) -> Result<Vocabulary> {
    let ranks = ranks(bytes, file)?;
    let spelt: Vec<String> = ranks.iter().map(|token| token.iter().map(|b| char_of(*b)).collect()).collect();
    let mut by_token = Vocab::with_capacity(spelt.len());
    for (rank, token) in (0u32..).zip(&spelt) {
        if let Some(other) = by_token.insert(token.clone(), rank) {
            let reason = format!("the token `{token}` has the ranks {other} and {rank}");
            return Err(Error::tokenizer(file, reason));
        }
    }
    if let Some(byte) = (0..=255).find(|byte| !by_token.contains_key(char_of(*byte).to_string().as_str())) {
        return Err(Error::tokenizer(file, format!("no token represents the byte {byte:#04X}")));
    }
    let ranked = spelt.iter().enumerate().map(|(rank, token)| (token.as_str(), -(rank as f32)));
    let merges = all_merges(ranked, &by_token, file)?;
    let first = spelt.len() as u32;
    let mut token_types = vec![TokenType::Normal as i32; spelt.len()];
    token_types.resize(spelt.len() + SPECIAL, TokenType::Control as i32);
    Ok(Vocabulary {
        model: "gpt2".into(),
        pre: Some("llama-bpe".into()),
        merges: merges.into_iter().map(|(left, right)| format!("{left} {right}")).collect(),
        tokens: spelt.into_iter().chain(special_tokens()).collect(),
        token_types,
        special: SpecialIds { bos: Some(first), eos: Some(first + 1), ..SpecialIds::default() },
        add_bos: Some(true),
        ..Vocabulary::default()
    })
}

/// Returns the tokens by rank.
fn ranks(bytes: &[u8], file: &str) -> Result<Vec<Vec<u8>>> {
    let mut tokens = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let (token, rank) = entry(line).ok_or_else(|| {
            Error::tokenizer(file, format!("line {} is not a token in base64 and its rank", index + 1))
        })?;
        if rank != tokens.len() {
            let reason = format!("line {} has the rank {rank}, but {} is next", index + 1, tokens.len());
            return Err(Error::tokenizer(file, reason));
        }
        tokens.push(token);
    }
    Ok(tokens)
}

/// Returns the token and the rank of a line.
fn entry(line: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (token, rank) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let token = STANDARD.decode(token).ok().filter(|token| !token.is_empty())?;
    Some((token, rank.parse().ok()?))
}

/// Returns whether the first line of a file has the tiktoken format.
pub(crate) fn is_tiktoken(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    entry(line.trim_ascii()).is_some()
}

/// The number of special tokens of Llama 3.
const SPECIAL: usize = 256;

/// Returns Llama 3's special tokens in the order of their ids.
fn special_tokens() -> impl Iterator<Item = String> {
    (0..SPECIAL).scan(0, |reserved, index| {
        let named = match index {
            0 => "begin_of_text",
            1 => "end_of_text",
            6 => "start_header_id",
            7 => "end_header_id",
            9 => "eot_id",
            _ => {
                *reserved += 1;
                return Some(format!("<|reserved_special_token_{}|>", *reserved - 1));
            }
        };
        Some(format!("<|{named}|>"))
    })
}
