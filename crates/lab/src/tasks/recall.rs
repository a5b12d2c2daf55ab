//! A context full of facts.

use bitkv_stats::Rng;

use super::{Question, Retrieval, TaskKind, Words, haystack::Haystack};

use crate::Result;

/// Tokens of a line: key, value, newline.
const LINE: usize = 3;
/// Words that are values and never keys, so that a key stands in the context once.
const VALUES: usize = 32;
/// Most keys asked of one context.
const QUESTIONS: usize = 16;

/// Lines of a key and a value. Where the context has more lines than there are keys, the rest are lines of
/// two values, spread among the facts; what a whole line does not fill is a shorter line at the beginning.
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
        // Whole numbers spread the keys evenly: a line has one where their count goes up.
        let (before, after) = (i * keys.len() / lines, (i + 1) * keys.len() / lines);
        let line = [if after > before { keys[before] } else { value() }, value(), words.newline()];
        if after > before {
            let depth = Some(i as f64 / (lines - 1) as f64);
            questions.push(Question { prompt: vec![line[0]], answer: vec![line[1]], depth });
        }
        context.extend(line);
    }
    rng.shuffle(&mut questions);
    questions.truncate(QUESTIONS);
    Ok(Retrieval { context, questions })
}
