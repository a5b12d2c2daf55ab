//! A passage to be continued from its beginning.

use anyhow::Result;
use bitkv_stats::Rng;

use super::haystack::{Haystack, Planted, WORDS_PER_LINE};
use super::{Kind, Question, Retrieval, Words, swept};

/// Words of the passage that the question gives away.
const CUE: usize = 4;

/// Lines of random words, all alike; one of them is asked by its first words, which follow each other nowhere else.
pub(super) fn draw(words: &Words, tokens: usize, index: usize, rng: &mut Rng) -> Result<Retrieval> {
    let depth = swept(index);
    let hay = Haystack { kind: Kind::Copy, words, filler: words.pool(), tokens };
    loop {
        let passage: Vec<u32> = (0..WORDS_PER_LINE).map(|_| words.pool()[rng.below(words.count())]).collect();
        let context = hay.with(vec![Planted { depth, words: passage.clone() }], rng)?;
        let (cue, answer) = passage.split_at(CUE);
        // Four of 64 words or more almost never come back by chance; where they do, the draw is repeated.
        if context.windows(CUE).filter(|window| *window == cue).count() == 1 {
            let question = Question { prompt: cue.to_vec(), answer: answer.to_vec(), depth: Some(depth) };
            return Ok(Retrieval { context, questions: vec![question] });
        }
    }
}
