//! A step-by-step implementation of the merging that SentencePiece and tiktoken describe.

use std::collections::HashMap;

use bitkv_tokenizer::TokenType;

/// Returns the ids of a text in SentencePiece. At each step, the two neighbours that make the piece with the
/// best score are joined; if there are several such pairs, the leftmost one. A character without a piece is
/// represented by its bytes.
pub(crate) fn sentencepiece(pieces: &[(String, f32, TokenType)], text: &str) -> Vec<u32> {
    if text.is_empty() {
        return Vec::new();
    }
    let normal = pieces.iter().zip(0u32..).filter(|((.., kind), _)| *kind == TokenType::Normal);
    let known: HashMap<&str, (f32, u32)> =
        normal.map(|((piece, score, _), id)| (piece.as_str(), (*score, id))).collect();
    let text = format!("▁{}", text.replace(' ', "▁"));
    let mut parts: Vec<String> = text.chars().map(String::from).collect();
    loop {
        let mut best: Option<(f32, usize)> = None;
        for (at, pair) in parts.windows(2).enumerate() {
            let joined = known.get(pair.concat().as_str());
            if let Some((score, _)) = joined
                && best.is_none_or(|(other, _)| *score > other)
            {
                best = Some((*score, at));
            }
        }
        let Some((_, at)) = best else { break };
        let right = parts.remove(at + 1);
        parts[at].push_str(&right);
    }
    let ids = |part: &String| match known.get(part.as_str()) {
        Some((_, id)) => vec![*id],
        None => part.bytes().map(|byte| 3 + u32::from(byte)).collect(),
    };
    parts.iter().flat_map(ids).collect()
}

/// Returns the ids of a word in tiktoken. A word that is a token becomes that token. Otherwise, at each step,
/// the two neighbours that make the token of the lowest rank are joined; if there are several such pairs, the
/// leftmost one.
pub(crate) fn tiktoken(ranks: &HashMap<Vec<u8>, u32>, word: &[u8]) -> Vec<u32> {
    if let Some(rank) = ranks.get(word) {
        return vec![*rank];
    }
    let mut parts: Vec<Vec<u8>> = word.iter().map(|byte| vec![*byte]).collect();
    loop {
        let ranked =
            parts.windows(2).enumerate().filter_map(|(at, pair)| Some((ranks.get(&pair.concat())?, at)));
        let Some((_, at)) = ranked.min() else { break };
        let right = parts.remove(at + 1);
        parts[at].extend(right);
    }
    parts.iter().map(|part| ranks[part]).collect()
}
