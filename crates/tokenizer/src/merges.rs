//! Derives the list of merges from the scores of tokens.
//!
//! SentencePiece and tiktoken have no list of merges: they join any two neighbours that make a token, best
//! token first. The equivalent list contains every split of every token into two tokens.

use tokenizers::models::bpe::{Merges, Vocab};

use crate::{Error, Result};

/// The longest token, in bytes, whose splits are listed. The longest token of Llama 3 has 256 bytes.
const LONGEST: usize = 1024;

/// Returns all pairs of `parts` that together make one of `tokens`, which are given with their scores. The
/// pairs have the same order as in Hugging Face's converter: a pair with a better score comes first. If
/// scores are equal, the pair with the longer left part comes first, then the one with the longer right part.
/// llama.cpp and SentencePiece merge the leftmost pair instead, which no list of merges expresses.
pub(crate) fn all_merges<'a>(
    tokens: impl Iterator<Item = (&'a str, f32)>,
    parts: &Vocab,
    file: &str,
) -> Result<Merges> {
    let mut merges = Vec::new();
    for (token, score) in tokens {
        if token.len() > LONGEST {
            let reason =
                format!("it has a token of {} bytes, but none should have over {LONGEST}", token.len());
            return Err(Error::tokenizer(file, reason));
        }
        merges.extend(splits(token, parts).map(|pair| (score, lengths(pair), pair)));
    }
    merges.sort_by(|(a, of_a, _), (b, of_b, _)| b.total_cmp(a).then(of_b.cmp(of_a)));
    Ok(merges.into_iter().map(|(.., (left, right))| (left.into(), right.into())).collect())
}

/// Returns the number of characters of both parts.
fn lengths((left, right): (&str, &str)) -> (usize, usize) {
    (left.chars().count(), right.chars().count())
}

/// Returns all ways to split a token into two tokens of `parts`.
pub(crate) fn splits<'a>(token: &'a str, parts: &Vocab) -> impl Iterator<Item = (&'a str, &'a str)> {
    let inner = token.char_indices().map(|(at, _)| at).rev().filter(|at| *at != 0);
    inner.map(|at| token.split_at(at)).filter(|(a, b)| parts.contains_key(*a) && parts.contains_key(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_is_a_merge_and_the_longer_left_part_comes_first() {
        let tokens = ["a", "é", "aé", "éa", "aéa"];
        let parts = tokens.iter().zip(0..).map(|(token, id)| (token.to_string(), id)).collect();
        let scored = |scores: [f32; 2]| {
            let merges = all_merges(["éa", "aéa"].into_iter().zip(scores), &parts, "x").unwrap();
            merges.iter().map(|(a, b)| format!("{a} {b}")).collect::<Vec<_>>()
        };
        assert_eq!(scored([0.0, -1.0]), ["é a", "aé a", "a éa"]);
        assert_eq!(scored([-1.0, 0.0]), ["aé a", "a éa", "é a"]);
        assert_eq!(scored([0.0, 0.0]), ["aé a", "a éa", "é a"]);
    }

    #[test]
    fn absurdly_long_tokens_are_refused() {
        let long = "a".repeat(LONGEST + 1);
        let error =
            all_merges([(long.as_str(), 0.0)].into_iter(), &Vocab::default(), "tokenizer.model").unwrap_err();
        assert!(error.to_string().contains("a token of 1025 bytes"), "{error}");
    }
}
