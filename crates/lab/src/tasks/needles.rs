//! Several facts in filler, of which some are asked.

use bitkv_stats::Rng;

use super::haystack::{Haystack, Planted};
use super::{Question, Retrieval, TaskKind, Words};

use crate::Result;

const KEYS: usize = 8;
/// Values of a key; all must be said.
const VALUES: usize = 2;
/// Keys asked; the others are there to distract.
const QUESTIONS: usize = 4;

/// Lines of a key and its values, evenly spread over the depths; no word of them stands anywhere else.
pub(super) fn draw(words: &Words, tokens: usize, _index: usize, rng: &mut Rng) -> Result<Retrieval> {
    let all = words.shuffled(rng);
    let (facts, filler) = all.split_at(KEYS * (1 + VALUES));
    let planted: Vec<Planted> = facts
        .chunks_exact(1 + VALUES)
        .enumerate()
        .map(|(i, fact)| Planted { depth: i as f64 / (KEYS - 1) as f64, words: fact.to_vec() })
        .collect();
    let mut asked: Vec<Question> = planted
        .iter()
        .map(|fact| Question {
            prompt: vec![fact.words[0]],
            answer: fact.words[1..].to_vec(),
            depth: Some(fact.depth),
        })
        .collect();
    rng.shuffle(&mut asked);
    asked.truncate(QUESTIONS);
    let context = Haystack { kind: TaskKind::Needles, words, filler, tokens }.with(planted, rng)?;
    Ok(Retrieval { context, questions: asked })
}
