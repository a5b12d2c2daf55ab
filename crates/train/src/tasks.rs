//! In-context tasks, which are generated during training: sequences whose answers a model can find only in
//! its context.

use tokenizers::Tokenizer;

use bitkv_stats::Rng;

use crate::{Error, Result, vocabulary::BOS_ID};

/// The target of a position that is not scored.
pub const UNSCORED: u32 = u32::MAX;

/// The kind of a training sequence.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TrainingTask {
    /// A window of the corpus.
    Text,
    /// Strings of random words. Each is repeated once, after a random distance of its own.
    Copy,
    /// Lines `key value`. Keys are repeated, and the model must give their value (multi-query associative
    /// recall, Arora et al. 2023, arXiv:2312.04927).
    Recall,
}

/// One training or evaluation sequence.
#[derive(Clone, Debug)]
pub struct TrainingSequence {
    /// The kind of the sequence.
    pub kind: TrainingTask,
    /// The input tokens; the first is the beginning-of-sequence token.
    pub tokens: Vec<u32>,
    /// The target of each position, or [`UNSCORED`].
    pub targets: Vec<u32>,
    /// The number of tokens since the answer of each position last occurred; 0 if the position has no such
    /// answer.
    pub distances: Vec<u32>,
}

/// The tokens from which tasks are made.
#[derive(Clone, Debug)]
pub struct Words {
    /// The tokens that consist of a space and a lower-case word.
    pub pool: Vec<u32>,
    /// The token of a newline.
    pub newline: u32,
}

/// The number of tokens of a recall line: key, value, newline.
const LINE: usize = 3;
/// The smallest number of tokens in a string of the copy task.
const SHORTEST_STRING: usize = 4;
/// The largest number of tokens in a string of the copy task.
const LONGEST_STRING: usize = 16;

impl Words {
    /// Finds the words in a byte-level vocabulary.
    ///
    /// # Errors
    /// Fails if the vocabulary has fewer than 64 whole words, or no token for a newline.
    pub fn new(tokenizer: &Tokenizer) -> Result<Words> {
        let size = tokenizer.get_vocab_size(true) as u32;
        let is_word = |id: &u32| {
            tokenizer.id_to_token(*id).is_some_and(|token| {
                let mut chars = token.chars();
                // Byte-level vocabularies write a space as U+0120.
                chars.next() == Some('\u{120}')
                    && token.chars().count() >= 3
                    && chars.all(|c| c.is_ascii_lowercase())
            })
        };
        let pool: Vec<u32> = (0..size).filter(is_word).collect();
        if pool.len() < 64 {
            return Err(Error::FewWords { found: pool.len() });
        }
        // Byte-level vocabularies write a newline as U+010A.
        let newline = tokenizer.token_to_id("\u{10a}").ok_or(Error::NoNewline)?;
        Ok(Words { pool, newline })
    }

    /// Returns only the first `count` words; 0 means all.
    pub fn first_words(&self, count: usize) -> Words {
        let count = if count == 0 { self.pool.len() } else { count.min(self.pool.len()) };
        Words { pool: self.pool[..count].to_vec(), newline: self.newline }
    }

    /// Returns a sequence of the copy task: strings of different words, each followed by other words and then
    /// repeated.
    ///
    /// Only the repetition is scored, without its first word. It starts `shortest` to `longest` tokens after
    /// the original. Every string has its own distance. If all strings of a sequence had the same distance,
    /// models would learn to look back by a fixed number of tokens that is a multiple of many distances, such
    /// as 24, and would never search by content.
    pub fn copy(&self, rng: &mut Rng, length: usize, shortest: usize, longest: usize) -> TrainingSequence {
        let mut draft = Draft::new(TrainingTask::Copy);
        let mut fresh = Vec::new();
        while !draft.is_long_enough(length) {
            let (low, high) = (shortest as f64, longest as f64);
            let distance = (low * (high / low).powf(rng.unit())).round() as usize;
            let string = SHORTEST_STRING.min(distance) + rng.below(LONGEST_STRING - SHORTEST_STRING + 1);
            let string = string.min(distance);
            if fresh.len() < distance {
                fresh = rng.sample(&self.pool, self.pool.len());
            }
            let words = fresh.split_off(fresh.len().saturating_sub(distance));
            words.iter().for_each(|&word| draft.push(word, None));
            for (i, &word) in words[..string.min(words.len())].iter().enumerate() {
                draft.push(word, (i > 0).then_some(words.len()));
            }
        }
        draft.finish(length)
    }

    /// Returns a sequence of the recall task: lines of a key and a value. If a key is repeated, its last
    /// occurrence is at most `longest` tokens ago. Only the values of repeated keys are scored.
    pub fn recall(&self, rng: &mut Rng, length: usize, longest: usize) -> TrainingSequence {
        let mut draft = Draft::new(TrainingTask::Recall);
        // Each entry is a key, its value, and the index at which the value last occurred.
        let mut seen: Vec<(u32, u32, usize)> = Vec::new();
        let lines = length / LINE + 1;
        let keys = rng.sample(&self.pool, lines);
        let (mut fresh, new) = (keys.into_iter(), 0.3 + 0.4 * rng.unit());
        while !draft.is_long_enough(length) {
            let index = draft.tokens.len() + 1;
            seen.retain(|(_, _, last)| index - last <= longest);
            let next = if seen.is_empty() || rng.unit() < new { fresh.next() } else { None };
            match next {
                Some(key) => {
                    let value = self.pool[rng.below(self.pool.len())];
                    draft.push(key, None);
                    draft.push(value, None);
                    seen.push((key, value, index));
                }
                None if seen.is_empty() => break,
                None => {
                    let i = rng.below(seen.len());
                    let (key, value, last) = seen[i];
                    draft.push(key, None);
                    draft.push(value, Some(index - last));
                    seen[i].2 = index;
                }
            }
            draft.push(self.newline, None);
        }
        while !draft.is_long_enough(length) {
            draft.push(self.newline, None);
        }
        draft.finish(length)
    }
}

/// Returns a window of the corpus after the beginning-of-sequence token. Every position is scored.
pub fn text(window: &[u16]) -> TrainingSequence {
    let tokens = std::iter::once(BOS_ID).chain(window[..window.len() - 1].iter().map(|&t| t as u32));
    TrainingSequence {
        kind: TrainingTask::Text,
        tokens: tokens.collect(),
        targets: window.iter().map(|&t| t as u32).collect(),
        distances: vec![0; window.len()],
    }
}

/// A sequence that is being generated: its tokens and, for each token that is an answer, the number of tokens
/// since it last occurred.
struct Draft {
    kind: TrainingTask,
    tokens: Vec<u32>,
    answer_distances: Vec<Option<usize>>,
}

impl Draft {
    fn new(kind: TrainingTask) -> Draft {
        Draft { kind, tokens: vec![BOS_ID], answer_distances: vec![None] }
    }

    fn is_long_enough(&self, length: usize) -> bool {
        self.tokens.len() > length
    }

    fn push(&mut self, token: u32, answer_distance: Option<usize>) {
        self.tokens.push(token);
        self.answer_distances.push(answer_distance);
    }

    fn finish(self, length: usize) -> TrainingSequence {
        let next = || self.tokens[1..=length].iter().zip(&self.answer_distances[1..=length]);
        TrainingSequence {
            kind: self.kind,
            targets: next()
                .map(|(&token, answer_distance)| if answer_distance.is_some() { token } else { UNSCORED })
                .collect(),
            distances: next().map(|(_, answer_distance)| answer_distance.unwrap_or(0) as u32).collect(),
            tokens: self.tokens[..length].to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        Words { pool: (10..200).collect(), newline: 2 }
    }

    /// Checks that each target also occurs as many tokens before as its distance says. Returns the number of
    /// scored positions.
    fn check(sequence: &TrainingSequence, longest: usize) -> usize {
        let mut scored = 0;
        for (i, (&target, &distance)) in sequence.targets.iter().zip(&sequence.distances).enumerate() {
            if target == UNSCORED {
                assert_eq!(distance, 0);
                continue;
            }
            let (at, back) = (i + 1, distance as usize);
            assert!(back >= 1 && back <= longest, "distance {back} of at most {longest}");
            assert_eq!(sequence.tokens[at - back], target);
            // The same token comes before the answer and before its earlier occurrence, so the answer can be
            // found by content.
            assert_eq!(sequence.tokens[at - back - 1], sequence.tokens[at - 1]);
            scored += 1;
        }
        scored
    }

    #[test]
    fn copies_repeat_what_they_score() {
        let mut rng = Rng::new(1);
        let mut total = 0;
        for _ in 0..200 {
            let s = words().copy(&mut rng, 128, 4, 48);
            assert_eq!((s.tokens.len(), s.targets.len(), s.tokens[0]), (128, 128, BOS_ID));
            total += check(&s, 48);
        }
        assert!(total > 200 * 25, "{total} answers in 200 sequences");
    }

    #[test]
    fn distances_of_a_copy_stay_in_their_range_and_differ() {
        let mut rng = Rng::new(2);
        let s = words().copy(&mut rng, 1024, 16, 48);
        let mut distances: Vec<u32> = s.distances.iter().copied().filter(|&d| d > 0).collect();
        assert!(distances.iter().all(|d| (16..=48).contains(d)));
        distances.dedup();
        assert!(distances.len() > 8, "no single offset serves a sequence: {distances:?}");
    }

    #[test]
    fn recall_scores_values_of_keys_seen_before() {
        let mut rng = Rng::new(3);
        let mut total = 0;
        for _ in 0..200 {
            let s = words().recall(&mut rng, 128, 64);
            total += check(&s, 64);
            for (i, target) in s.targets.iter().enumerate() {
                assert!(*target == UNSCORED || (i % LINE == 1 && *target != 2), "only values are scored");
            }
        }
        assert!(total > 200 * 10, "{total} answers in 200 sequences");
    }

    #[test]
    fn each_key_has_one_value() {
        let mut rng = Rng::new(4);
        for _ in 0..50 {
            let s = words().recall(&mut rng, 192, 190);
            let mut known = std::collections::BTreeMap::new();
            for line in s.tokens[1..].chunks_exact(LINE) {
                assert_eq!(*known.entry(line[0]).or_insert(line[1]), line[1]);
                assert_eq!(line[2], 2);
            }
        }
    }

    #[test]
    fn text_predicts_the_next_token_from_the_beginning() {
        let s = text(&[5, 6, 7]);
        assert_eq!((s.tokens, s.targets), (vec![BOS_ID, 5, 6], vec![5, 6, 7]));
    }
}
