//! Merges from an order of tokens.
//!
//! SentencePiece and tiktoken keep no list of merges: they join any two neighbours that make a token, best token
//! first. As a list that is every way to cut every token in two tokens.

use tokenizers::models::bpe::{Merges, Vocab};

use crate::{Error, Result};

/// The longest token, in bytes, that is cut in every way. The longest of Llama 3 has 256.
const LONGEST: usize = 1024;

/// All pairs that make a token. `tokens` are in the order in which they are to be made; pairs that make the same
/// token come with the longer left part first, as HF lists them.
pub(crate) fn all_merges(tokens: &[&str], parts: &Vocab, file: &str) -> Result<Merges> {
    let mut merges = Vec::new();
    for token in tokens {
        if token.len() > LONGEST {
            let reason =
                format!("it has a token of {} bytes, but none should have over {LONGEST}", token.len());
            return Err(Error::tokenizer(file, reason));
        }
        merges.extend(cuts(token, parts).map(|(left, right)| (left.to_string(), right.to_string())));
    }
    Ok(merges)
}

/// The ways to cut a token in two of `parts`.
pub(crate) fn cuts<'a>(token: &'a str, parts: &Vocab) -> impl Iterator<Item = (&'a str, &'a str)> {
    let inner = token.char_indices().map(|(at, _)| at).rev().filter(|at| *at != 0);
    inner.map(|at| token.split_at(at)).filter(|(a, b)| parts.contains_key(*a) && parts.contains_key(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_is_a_merge_and_the_longer_left_part_comes_first() {
        let tokens = ["a", "é", "aé", "éa", "aéa"];
        let parts = tokens.iter().zip(0..).map(|(token, id)| (token.to_string(), id)).collect();
        let merges = all_merges(&["éa", "aéa"], &parts, "x").unwrap();
        let want = [("é", "a"), ("aé", "a"), ("a", "éa")].map(|(a, b)| (a.to_string(), b.to_string()));
        assert_eq!(merges, want);
    }

    #[test]
    fn absurdly_long_tokens_are_refused() {
        let long = "a".repeat(LONGEST + 1);
        let error = all_merges(&[&long], &Vocab::default(), "tokenizer.model").unwrap_err();
        assert!(error.to_string().contains("a token of 1025 bytes"), "{error}");
    }
}
