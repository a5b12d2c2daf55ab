//! Writes `tokenizer.model` files for the tests.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use bitkv_tokenizer::{TokenType, Tokenizer, TokenizerOptions};

use crate::reference;

/// A field of a message in the wire format of Protocol Buffers: its number and its value.
pub(crate) enum Field<'a> {
    Integer(u64, u64),
    Float(u64, f32),
    Bytes(u64, &'a [u8]),
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Returns the bytes of a message.
pub(crate) fn message(fields: &[Field<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        match field {
            Field::Integer(number, value) => {
                varint(number << 3, &mut out);
                varint(*value, &mut out);
            }
            Field::Float(number, value) => {
                varint(number << 3 | 5, &mut out);
                out.extend(value.to_le_bytes());
            }
            Field::Bytes(number, bytes) => {
                varint(number << 3 | 2, &mut out);
                varint(bytes.len() as u64, &mut out);
                out.extend(*bytes);
            }
        }
    }
    out
}

/// Returns a SentencePiece model of these pieces, with Llama 2's settings.
pub(crate) fn sentencepiece(pieces: &[(String, f32, TokenType)]) -> Vec<u8> {
    let trainer = message(&[Field::Integer(3, 2), Field::Integer(35, 1), Field::Integer(43, u64::MAX)]);
    let normalizer = message(&[Field::Bytes(1, b"identity"), Field::Integer(3, 1), Field::Integer(4, 0)]);
    sentencepiece_with(pieces, &trainer, &normalizer)
}

/// Returns a SentencePiece model of these pieces, with other settings.
pub(crate) fn sentencepiece_with(
    pieces: &[(String, f32, TokenType)],
    trainer: &[u8],
    normalizer: &[u8],
) -> Vec<u8> {
    let pieces: Vec<Vec<u8>> = pieces
        .iter()
        .map(|(piece, score, kind)| {
            let (text, kind) = (Field::Bytes(1, piece.as_bytes()), Field::Integer(3, *kind as u64));
            message(&[text, Field::Float(2, *score), kind])
        })
        .collect();
    let pieces = pieces.iter().map(|piece| Field::Bytes(1, piece));
    let fields: Vec<Field<'_>> =
        pieces.chain([Field::Bytes(2, trainer), Field::Bytes(3, normalizer)]).collect();
    message(&fields)
}

/// Returns a tiktoken file and its ranks: all bytes in an unusual order, then words with all their prefixes.
pub(crate) fn tiktoken() -> (Vec<u8>, HashMap<Vec<u8>, u32>) {
    let mut tokens: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte.wrapping_mul(5)]).collect();
    for word in
        ["the", "there", " the", " then", "aaaa", "aa", "ab", "aab", "é", "世界", "in", "ing", " in", "ngs"]
    {
        for end in 2..=word.len() {
            let token = word.as_bytes()[..end].to_vec();
            if !tokens.contains(&token) {
                tokens.push(token);
            }
        }
    }
    let lines = tokens.iter().enumerate().map(|(rank, token)| format!("{} {rank}\n", STANDARD.encode(token)));
    (lines.collect::<String>().into_bytes(), tokens.into_iter().zip(0..).collect())
}

#[test]
fn tiktoken_files_merge_as_tiktoken_describes() {
    let (file, ranks) = tiktoken();
    let count = ranks.len();
    let options = TokenizerOptions { bos: None, vocab_size: count + 256 };
    let tokenizer = Tokenizer::from_tiktoken_bytes(&file, "tokenizer.model", &options).unwrap();
    let words =
        ["the", "there", " thenthe", "aaaaaab", "aaab", "aabaaab", "éé", "世界世", "ings", "inings", " ings"];
    for word in words {
        let ids = tokenizer.encode_bare(word).unwrap();
        assert_eq!(ids, reference::tiktoken(&ranks, word.as_bytes()), "{word}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), word);
    }
    assert_eq!(tokenizer.encode_bare("there").unwrap().len(), 1);
    let end = tokenizer.id("<|end_of_text|>").unwrap();
    assert_eq!(tokenizer.encode("the<|end_of_text|>").unwrap()[..1], [count as u32]);
    assert_eq!((end, tokenizer.special_ids().eos), (count as u32 + 1, Some(count as u32 + 1)));
    assert_eq!(tokenizer.missing_ids(), []);
}
