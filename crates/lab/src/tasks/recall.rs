//! The task `recall`: a context full of facts. Each question asks for one fact.

use bitkv_stats::Rng;

use super::{Question, Retrieval, TaskKind, Words, haystack::Haystack};

use crate::Result;

/// The number of tokens of a line: key, value, newline.
const LINE: usize = 3;
/// The number of words that are values and never keys, so that a key occurs in the context only once.
const VALUES: usize = 32;
/// The most keys that questions about one context ask for.
const QUESTIONS: usize = 16;

/// Draws lines of a key and a value. If the context has more lines than there are keys, the other lines have
/// two values and are spread among the facts. Tokens that do not fill a line become a shorter first line.
pub(super) fn draw(words: &Words, tokens: usize, _index: usize, rng: &mut Rng) -> Result<Retrieval> {
    let bos = usize::from(words.bos().is_some());
    let needed = bos + QUESTIONS * LINE;
    Haystack { kind: TaskKind::Recall, words, filler: &[], tokens }.ensure_tokens(needed)?;
    let (lines, rest) = ((tokens - bos) / LINE, (tokens - bos) % LINE);
    let all = words.shuffled(rng);
    let (values, keys) = all.split_at(VALUES);
    let keys = &keys[..keys.len().min(lines)];
    let mut value = || values[rng.below(VALUES)];
    let mut context: Vec<u32> = words.bos().into_iter().collect();
    context.extend((1..rest).map(|_| value()));
    context.extend((rest > 0).then_some(words.newline()));
    let mut questions = Vec::with_capacity(keys.len());
    for i in 0..lines {
        // The number of keys up to a line, rounded down, spreads the keys evenly: a line has a key if the
        // number rises.
        let (before, after) = (i * keys.len() / lines, (i + 1) * keys.len() / lines);
        let line = [if after > before { keys[before] } else { value() }, value(), words.newline()];
        if after > before {
            let depth = Some(i as f64 / (lines - 1) as f64);
            let positions = vec![context.len() as u32 + 1];
            questions.push(Question { prompt: vec![line[0]], answer: vec![line[1]], depth, positions });
        }
        context.extend(line);
    }
    rng.shuffle(&mut questions);
    questions.truncate(QUESTIONS);
    Ok(Retrieval { context, questions })
}
