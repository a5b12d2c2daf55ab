//! The task `needles`: several facts between lines of filler. Questions ask for some of the facts.

use bitkv_stats::Rng;

use super::haystack::{Haystack, PlantedLine};
use super::{Question, Retrieval, TaskKind, Words, positions};

use crate::Result;

const KEYS: usize = 8;
/// The number of values of a key. The answer must have all of them.
const VALUES: usize = 2;
/// The number of keys that questions ask for. The other keys are distractors.
const QUESTIONS: usize = 4;

/// Draws lines of a key and its values, evenly spread over the depths. Their words occur nowhere else in the
/// context.
pub(super) fn draw(words: &Words, tokens: usize, _index: usize, rng: &mut Rng) -> Result<Retrieval> {
    let all = words.shuffled(rng);
    let (facts, filler) = all.split_at(KEYS * (1 + VALUES));
    let planted: Vec<PlantedLine> = facts
        .chunks_exact(1 + VALUES)
        .enumerate()
        .map(|(i, fact)| PlantedLine { depth: i as f64 / (KEYS - 1) as f64, words: fact.to_vec() })
        .collect();
    let mut asked = planted.clone();
    rng.shuffle(&mut asked);
    asked.truncate(QUESTIONS);
    let context = Haystack { kind: TaskKind::Needles, words, filler, tokens }.context_with(planted, rng)?;
    let question = |fact: &PlantedLine| {
        let (prompt, answer) = fact.words.split_at(1);
        let positions = positions::after_prompt(&context, prompt, answer);
        Question { prompt: prompt.to_vec(), answer: answer.to_vec(), depth: Some(fact.depth), positions }
    };
    let questions = asked.iter().map(question).collect();
    Ok(Retrieval { context, questions })
}
