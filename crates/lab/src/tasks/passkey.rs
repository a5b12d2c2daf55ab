//! The task `passkey`: one fact between lines of filler.

use bitkv_stats::Rng;

use super::haystack::{Haystack, PlantedLine};
use super::{Question, Retrieval, TaskKind, Words, positions, swept_depth};

use crate::Result;

/// The number of words of the value. There are several, so that a lucky guess of one word is not a right
/// answer.
const VALUE: usize = 4;

/// Draws one line with the key and the words of its value. They occur nowhere else in the context.
pub(super) fn draw(words: &Words, tokens: usize, index: usize, rng: &mut Rng) -> Result<Retrieval> {
    let all = words.shuffled(rng);
    let (fact, filler) = all.split_at(1 + VALUE);
    let depth = swept_depth(index);
    let hay = Haystack { kind: TaskKind::Passkey, words, filler, tokens };
    let context = hay.context_with(vec![PlantedLine { depth, words: fact.to_vec() }], rng)?;
    let (prompt, answer) = fact.split_at(1);
    let positions = positions::after_prompt(&context, prompt, answer);
    let question =
        Question { prompt: prompt.to_vec(), answer: answer.to_vec(), depth: Some(depth), positions };
    Ok(Retrieval { context, questions: vec![question] })
}
