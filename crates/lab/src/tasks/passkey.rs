//! One fact in filler.

use bitkv_stats::Rng;

use super::haystack::{Haystack, Planted};
use super::{Question, Retrieval, TaskKind, Words, swept};

use crate::Result;

/// Words of the value: guessing one of them is not knowing the key.
const VALUE: usize = 4;

/// A line of the key and the words of its value, which stand nowhere else in the context.
pub(super) fn draw(words: &Words, tokens: usize, index: usize, rng: &mut Rng) -> Result<Retrieval> {
    let all = words.shuffled(rng);
    let (fact, filler) = all.split_at(1 + VALUE);
    let depth = swept(index);
    let hay = Haystack { kind: TaskKind::Passkey, words, filler, tokens };
    let context = hay.with(vec![Planted { depth, words: fact.to_vec() }], rng)?;
    let question = Question { prompt: vec![fact[0]], answer: fact[1..].to_vec(), depth: Some(depth) };
    Ok(Retrieval { context, questions: vec![question] })
}
