//! Retrieval tasks that any tokenizer can express: a context made of single-token words, and questions about
//! it. One task, `needle-in-prose`, is made of sentences.
//!
//! [`draw`] makes a [`Retrieval`] (a context and its [`Question`]s) from the [`Words`] of a model's
//! vocabulary. Every question has one answer, which the context alone determines, so a model with the full
//! cache can be right. A question is never part of its context, so a policy that compresses the cache before
//! the question is asked cannot know which tokens it will need. To let the policy see the question, append
//! [`Question::prompt`] to the context before compressing.

mod common_words;
mod copy;
mod deck;
mod haystack;
mod needle_in_prose;
mod needles;
mod passkey;
mod positions;
mod recall;
mod recall_together;
mod variables;
mod words;

use std::collections::BTreeSet;

use bitkv_record::TaskKind;
use bitkv_stats::Rng;

use crate::{Error, Result, error::Refuse as _};

pub use words::Words;

/// A kind of task and the function that draws its contexts.
struct Task {
    kind: TaskKind,
    /// A number that makes the random numbers of the kinds differ. A kind without a salt is seeded by the sum
    /// of seed and index.
    salt: Option<u64>,
    /// Draws a context from the words, the number of tokens, the index of the context and a generator.
    draw: fn(&Words, usize, usize, &mut Rng) -> Result<Retrieval>,
}

/// The tasks that ask questions.
static TASKS: [Task; 8] = [
    Task { kind: TaskKind::Passkey, salt: Some(0), draw: passkey::draw },
    Task { kind: TaskKind::Needles, salt: Some(1), draw: needles::draw },
    Task { kind: TaskKind::Variables, salt: Some(2), draw: variables::draw },
    Task { kind: TaskKind::CommonWords, salt: Some(3), draw: common_words::draw },
    Task { kind: TaskKind::Recall, salt: Some(4), draw: recall::draw },
    Task { kind: TaskKind::RecallTogether, salt: None, draw: recall_together::draw },
    Task { kind: TaskKind::Copy, salt: Some(5), draw: copy::draw },
    Task { kind: TaskKind::NeedleInProse, salt: Some(6), draw: needle_in_prose::draw },
];

/// Returns the kinds of task that ask questions, in the order of the documentation.
pub fn kinds() -> impl Iterator<Item = TaskKind> {
    TASKS.iter().map(|task| task.kind)
}

/// A question about a context.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The tokens of the question, which follow the context.
    pub prompt: Vec<u32>,
    /// The tokens that must follow the prompt.
    pub answer: Vec<u32>,
    /// The position of the answer in the context, from 0 (first line) to 1 (last line): the fraction of the
    /// filler that comes before it, or `None` if the answer has no single position.
    pub depth: Option<f64>,
    /// The positions in the context at which a reader finds the tokens of the answer, `[answer]`: each token
    /// where it follows the token before it. Empty if the answer has no position.
    pub positions: Vec<u32>,
}

impl Retrieval {
    /// Returns all questions with their answers, one per line, as one continuation.
    pub fn together(&self, newline: u32) -> Vec<u32> {
        self.questions.iter().flat_map(|q| [&q.prompt[..], &q.answer, &[newline]].concat()).collect()
    }

    /// Returns the expected fraction of right answers to the given questions if every token of an answer is
    /// guessed among all different tokens of the context.
    pub fn chance(&self, questions: &[usize]) -> f64 {
        let words: BTreeSet<u32> = self.context.iter().copied().collect();
        let guessed =
            |question: &usize| (words.len() as f64).powi(-(self.questions[*question].answer.len() as i32));
        questions.iter().map(guessed).sum::<f64>() / questions.len().max(1) as f64
    }
}

impl Question {
    /// Returns the tokens that a model reads after the context when the question is asked: the prompt, and
    /// the answer without its last token.
    pub fn asked(&self) -> Vec<u32> {
        let answer = self.answer.split_last().map_or(&[][..], |(_, before)| before);
        [&self.prompt, answer].concat()
    }

    /// Returns whether greedy decoding gives exactly the answer: every token of it is the most likely one
    /// after the tokens before it. `predictions[i]` is the most likely token after `asked()[i]`. Returns
    /// false if their number is wrong.
    pub fn correct(&self, predictions: &[usize]) -> bool {
        let predicted = predictions.get(self.prompt.len().saturating_sub(1)..).unwrap_or_default();
        let same = |(&predicted, &answer): (&usize, &u32)| predicted == answer as usize;
        predicted.len() == self.answer.len() && predicted.iter().zip(&self.answer).all(same)
    }
}

/// A context and the questions about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieval {
    /// The beginning-of-sequence token, if the model has one, and then lines. The last token ends a line.
    pub context: Vec<u32>,
    /// The questions. Each is asked directly after the context.
    pub questions: Vec<Question>,
}

/// Draws context number `index` of a kind, of exactly `tokens` tokens including the beginning-of-sequence
/// token. A context of [`TaskKind::RecallTogether`] has only as many tokens as whole lines fill.
///
/// The same arguments always give the same context. Kinds with a single fact or passage
/// ([`TaskKind::Passkey`], [`TaskKind::Copy`], [`TaskKind::NeedleInProse`]) put it at depth 0, 0.1, ... 1 for
/// the indices 0 to 10, and then start again at 0.
///
/// # Errors
/// Returns an error if the kind asks no questions, or if the length or the vocabulary does not suit it; the
/// message says what is needed.
pub fn draw(kind: TaskKind, words: &Words, tokens: usize, index: usize, seed: u64) -> Result<Retrieval> {
    let task = TASKS
        .iter()
        .find(|task| task.kind == kind)
        .refuse(Error::Definition, "the task text asks no questions")?;
    let mut rng = match task.salt {
        // The seed is drawn twice, so that neighbouring seeds, kinds and indices share no numbers.
        Some(salt) => Rng::new(Rng::new(Rng::new(seed).next_u64() ^ (salt << 56) ^ index as u64).next_u64()),
        None => Rng::new(seed.wrapping_add(index as u64)),
    };
    (task.draw)(words, tokens, index, &mut rng)
}

/// The number of depths of contexts with a single fact or passage.
const DEPTHS: usize = 11;

/// Returns the depth of the fact or passage in context number `index`.
fn swept_depth(index: usize) -> f64 {
    (index % DEPTHS) as f64 / (DEPTHS - 1) as f64
}
