//! The task `copy`: continue a passage of the context from its first words.

use bitkv_stats::Rng;

use super::haystack::{FEWEST_LINES, Haystack, WORDS_PER_LINE};
use super::{Question, Retrieval, TaskKind, Words, positions, swept_depth};

use crate::Result;

/// The number of first words of the passage, which are the question.
const CUE: usize = 4;

/// Draws lines of random words. The question is the first words of one line, in an order that occurs nowhere
/// else in the context.
pub(super) fn draw(words: &Words, tokens: usize, index: usize, rng: &mut Rng) -> Result<Retrieval> {
    let depth = swept_depth(index);
    let hay = Haystack { kind: TaskKind::Copy, words, filler: words.pool(), tokens };
    let bos: Vec<u32> = words.bos().into_iter().collect();
    hay.ensure_tokens(bos.len() + (1 + FEWEST_LINES) * (WORDS_PER_LINE + 1))?;
    loop {
        let lines = hay.lines(tokens - bos.len(), rng);
        let context = [&bos[..], &lines.concat()].concat();
        let passage = &lines[(depth * (lines.len() - 1) as f64).round() as usize];
        // The first line may be too short to be the passage.
        let passage = if passage.len() > WORDS_PER_LINE { passage } else { &lines[1] };
        let (cue, answer) = passage[..WORDS_PER_LINE].split_at(CUE);
        // Random lines almost never have the same four words in a row twice. If they do, the draw is
        // repeated.
        if context.windows(CUE).filter(|window| *window == cue).count() == 1 {
            let positions = positions::after_prompt(&context, cue, answer);
            let (prompt, answer) = (cue.to_vec(), answer.to_vec());
            let question = Question { prompt, answer, depth: Some(depth), positions };
            return Ok(Retrieval { context, questions: vec![question] });
        }
    }
}
