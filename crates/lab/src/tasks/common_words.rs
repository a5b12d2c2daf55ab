//! The task `common-words`: order words by how often they occur.

use bitkv_stats::Rng;

use super::haystack::{Haystack, WORDS_PER_LINE};
use super::{Question, Retrieval, TaskKind, Words};

use crate::Result;

/// The relative frequencies of the four common words, which together are half of all words; the most common
/// first.
const SHARES: [usize; 4] = [8, 6, 4, 2];

/// The fewest lines. With these, the least common of the four words occurs at least twice as often as any of
/// 60 or more rare words.
const FEWEST_LINES: usize = 10;

/// Draws lines of words in random order. Half of the words are the four common ones, in the ratio 8:6:4:2.
/// The rare words take turns, and none of them is as common as these four. A question lists the most common
/// words, the most common first, and the answer is the next one.
pub(super) fn draw(words: &Words, tokens: usize, _index: usize, rng: &mut Rng) -> Result<Retrieval> {
    let all = words.shuffled(rng);
    let (common, rare) = all.split_at(SHARES.len());
    let hay = Haystack { kind: TaskKind::CommonWords, words, filler: rare, tokens };
    let mut context: Vec<u32> = words.bos().into_iter().collect();
    hay.ensure_tokens(context.len() + FEWEST_LINES * (WORDS_PER_LINE + 1))?;
    // Only the lengths of these lines are used.
    let lines = hay.lines(tokens - context.len(), rng);
    let mut list = list(common, rare, lines.iter().map(|line| line.len() - 1).sum());
    rng.shuffle(&mut list);
    let mut list = list.into_iter();
    for line in &lines {
        context.extend(list.by_ref().take(line.len() - 1));
        context.push(words.newline());
    }
    let question = |listed: usize| Question {
        prompt: common[..listed].to_vec(),
        answer: vec![common[listed]],
        depth: None,
        positions: Vec::new(),
    };
    Ok(Retrieval { context, questions: (1..common.len()).map(question).collect() })
}

/// Returns a list of `count` words: each common word as often as its share says, then the rare words in turn.
fn list(common: &[u32], rare: &[u32], count: usize) -> Vec<u32> {
    let all: usize = 2 * SHARES.iter().sum::<usize>();
    let mut list = Vec::with_capacity(count);
    for (&word, share) in common.iter().zip(SHARES) {
        list.extend(std::iter::repeat_n(word, count * share / all));
    }
    list.extend(rare.iter().cycle().take(count - list.len()));
    list
}
