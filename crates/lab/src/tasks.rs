//! Retrieval tasks that any tokenizer can express: a context made of single-token words, and questions about it.
//!
//! Every question has one answer, which the context alone decides: a reader who keeps everything can be right. A question
//! is never part of its context: a policy that compresses the cache before the question is asked cannot keep what it
//! happens to need. To let the policy see the question, append [`Question::prompt`] to the context before compressing.

mod common_words;
mod copy;
mod deck;
mod haystack;
mod needles;
mod passkey;
mod recall;
mod recall_together;
mod variables;
mod words;

use std::collections::BTreeSet;

use bitkv_record::TaskKind;
use bitkv_stats::Rng;

use crate::{Error, Result, error::Refuse as _};

pub use words::Words;

/// How contexts of a kind are drawn.
struct Task {
    kind: TaskKind,
    /// What keeps the draws of kinds apart; a kind without one is seeded by the sum of seed and index alone.
    salt: Option<u64>,
    /// From words, tokens of the context, its number and a generator.
    draw: fn(&Words, usize, usize, &mut Rng) -> Result<Retrieval>,
}

/// One line a kind that asks questions.
static TASKS: [Task; 7] = [
    Task { kind: TaskKind::Passkey, salt: Some(0), draw: passkey::draw },
    Task { kind: TaskKind::Needles, salt: Some(1), draw: needles::draw },
    Task { kind: TaskKind::Variables, salt: Some(2), draw: variables::draw },
    Task { kind: TaskKind::CommonWords, salt: Some(3), draw: common_words::draw },
    Task { kind: TaskKind::Recall, salt: Some(4), draw: recall::draw },
    Task { kind: TaskKind::RecallTogether, salt: None, draw: recall_together::draw },
    Task { kind: TaskKind::Copy, salt: Some(5), draw: copy::draw },
];

/// The kinds that ask questions, in the order of documentation.
pub fn kinds() -> impl Iterator<Item = TaskKind> {
    TASKS.iter().map(|task| task.kind)
}

/// A question about a context.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What follows the context: tokens of the question.
    pub prompt: Vec<u32>,
    /// What must follow the prompt, token by token.
    pub answer: Vec<u32>,
    /// Where in the context the answer stands, 0 (first line) to 1 (last line): the part of the filler that comes
    /// before it. None where it has no single place.
    pub depth: Option<f64>,
}

impl Retrieval {
    /// All questions with their answers, a line each, as one continuation.
    pub fn together(&self, newline: u32) -> Vec<u32> {
        self.questions.iter().flat_map(|q| [&q.prompt[..], &q.answer, &[newline]].concat()).collect()
    }

    /// What guessing gets right of some of the questions: any word of the context for every token of an answer.
    pub fn chance(&self, questions: &[usize]) -> f64 {
        let words: BTreeSet<u32> = self.context.iter().copied().collect();
        let of =
            |question: &usize| (words.len() as f64).powi(-(self.questions[*question].answer.len() as i32));
        questions.iter().map(of).sum::<f64>() / questions.len().max(1) as f64
    }
}

impl Question {
    /// What a model reads to be asked, after the context: the prompt and the answer without its last token.
    pub fn asked(&self) -> Vec<u32> {
        let answer = self.answer.split_last().map_or(&[][..], |(_, before)| before);
        [&self.prompt, answer].concat()
    }

    /// Whether every token of the answer is the most likely one after the tokens before it, which is when greedy
    /// decoding gives the answer exactly. `predictions[i]` is the most likely token after `asked()[i]`; false
    /// unless there is one for each.
    pub fn correct(&self, predictions: &[usize]) -> bool {
        let said = predictions.get(self.prompt.len().saturating_sub(1)..).unwrap_or_default();
        said.len() == self.answer.len() && said.iter().zip(&self.answer).all(|(&p, &a)| p == a as usize)
    }
}

/// A context and what is asked about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieval {
    /// Beginning of sequence, where the model has one, and lines; the last token ends a line.
    pub context: Vec<u32>,
    /// Questions, each to be asked of the context alone.
    pub questions: Vec<Question>,
}

/// Context number `index` of a kind, of exactly `tokens` tokens, the beginning of the sequence included; of
/// [`TaskKind::RecallTogether`], of as many as whole lines fill.
///
/// The same arguments always give the same context. Kinds with a single place of interest
/// ([`TaskKind::Passkey`], [`TaskKind::Copy`]) put it at depth 0, 0.1, ... 1 for index 0 to 10, and begin again.
///
/// # Errors
/// When the kind asks no questions, and when the length or the vocabulary does not suit it, saying what it needs.
pub fn draw(kind: TaskKind, words: &Words, tokens: usize, index: usize, seed: u64) -> Result<Retrieval> {
    let task =
        TASKS.iter().find(|task| task.kind == kind).refuse(Error::Definition, "a text asks no questions")?;
    let mut rng = match task.salt {
        // Drawn twice, so that neighbouring seeds, kinds and indices share nothing.
        Some(salt) => Rng::new(Rng::new(Rng::new(seed).next_u64() ^ (salt << 56) ^ index as u64).next_u64()),
        None => Rng::new(seed.wrapping_add(index as u64)),
    };
    (task.draw)(words, tokens, index, &mut rng)
}

/// Depths that contexts with one place of interest go through.
const DEPTHS: usize = 11;

/// The depth of context number `index`.
fn swept(index: usize) -> f64 {
    (index % DEPTHS) as f64 / (DEPTHS - 1) as f64
}
