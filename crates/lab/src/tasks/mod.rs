//! Retrieval tasks that any tokenizer can express: a context made of single-token words, and questions about it.
//!
//! Every question has one answer, which the context alone decides: a reader who keeps everything can be right. A question
//! is never part of its context: a policy that cuts the cache before the question is asked cannot keep what it
//! happens to need. To let the policy see the question, append [`Question::prompt`] to the context before cutting.

mod common_words;
mod copy;
mod deck;
mod haystack;
mod needles;
mod passkey;
mod recall;
#[cfg(test)]
mod tests;
mod variables;
mod words;

use anyhow::Result;
use bitkv_record::{Named, TaskKind};
use bitkv_stats::Rng;

pub use words::Words;

/// A kind of retrieval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One key with a value of four words, in filler, at a depth swept over the contexts (Mohtashami and Jaggi 2023,
    /// arXiv:2305.16300).
    Passkey,
    /// Eight keys with two values each, in filler; four keys are asked (RULER's multi-key and multi-value needles,
    /// Hsieh et al. 2024, arXiv:2404.06654).
    Needles,
    /// Chains of variables that take each other's value; the last one of a chain is followed back to its value
    /// (RULER's variable tracking).
    Variables,
    /// The words of a list by how often they occur (RULER's common words extraction).
    CommonWords,
    /// Lines of a key and its value, nothing else where the words suffice; sixteen keys are asked (multi-query
    /// associative recall, Arora et al. 2023, arXiv:2312.04927).
    Recall,
    /// A line of random words to be continued from its beginning, at a depth swept over the contexts.
    Copy,
}

impl Kind {
    /// All kinds, in the order of documentation.
    pub const ALL: [Kind; 6] =
        [Kind::Passkey, Kind::Needles, Kind::Variables, Kind::CommonWords, Kind::Recall, Kind::Copy];

    /// The kind that a definition names; none for a text, which asks nothing.
    pub fn of(task: TaskKind) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.task() == task)
    }

    /// As definitions and rows name it.
    pub fn task(self) -> TaskKind {
        match self {
            Kind::Passkey => TaskKind::Passkey,
            Kind::Needles => TaskKind::Needles,
            Kind::Variables => TaskKind::Variables,
            Kind::CommonWords => TaskKind::CommonWords,
            Kind::Recall => TaskKind::Recall,
            Kind::Copy => TaskKind::Copy,
        }
    }

    /// The name in definitions and rows, such as `common-words`.
    pub fn name(self) -> &'static str {
        self.task().name()
    }
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

/// Context number `index` of a kind, of exactly `tokens` tokens, the beginning of the sequence included.
///
/// The same arguments always give the same context. Kinds with a single place of interest
/// ([`Kind::Passkey`], [`Kind::Copy`]) put it at depth 0, 0.1, ... 1 for index 0 to 10, and begin again.
///
/// # Errors
/// When the length or the vocabulary is too small for the kind, saying how much it needs.
pub fn draw(kind: Kind, words: &Words, tokens: usize, index: usize, seed: u64) -> Result<Retrieval> {
    // Drawn twice, so that neighbouring seeds, kinds and indices share nothing.
    let mixed = Rng::new(seed).next_u64() ^ ((kind as u64) << 56) ^ index as u64;
    let mut rng = Rng::new(Rng::new(mixed).next_u64());
    match kind {
        Kind::Passkey => passkey::draw(words, tokens, index, &mut rng),
        Kind::Needles => needles::draw(words, tokens, &mut rng),
        Kind::Variables => variables::draw(words, tokens, &mut rng),
        Kind::CommonWords => common_words::draw(words, tokens, &mut rng),
        Kind::Recall => recall::draw(words, tokens, &mut rng),
        Kind::Copy => copy::draw(words, tokens, index, &mut rng),
    }
}

/// Depths that contexts with one place of interest go through.
const DEPTHS: usize = 11;

/// The depth of context number `index`.
fn swept(index: usize) -> f64 {
    (index % DEPTHS) as f64 / (DEPTHS - 1) as f64
}
