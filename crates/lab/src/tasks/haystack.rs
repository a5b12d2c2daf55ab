//! A [`Haystack`] makes contexts with a few lines of facts between lines of filler.

use bitkv_stats::Rng;

use super::{TaskKind, Words, deck::Deck};

use crate::{Result, error::ensure};

/// The number of words of a full line of filler.
pub(super) const WORDS_PER_LINE: usize = 12;

/// The fewest full lines of filler. A depth among fewer lines would mean little.
pub(super) const FEWEST_LINES: usize = 4;

/// A line that is put into the filler.
#[derive(Clone, Debug)]
pub(super) struct PlantedLine {
    /// The fraction of the filler that comes before the line, 0 to 1.
    pub(super) depth: f64,
    /// The words of the line, without the newline.
    pub(super) words: Vec<u32>,
}

/// The filler of a context and its length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Haystack<'a> {
    pub(super) kind: TaskKind,
    pub(super) words: &'a Words,
    /// The words that lines of filler are made of.
    pub(super) filler: &'a [u32],
    /// The number of tokens of the context.
    pub(super) tokens: usize,
}

impl Haystack<'_> {
    /// Makes the context: the beginning-of-sequence token, then the `planted` lines between random lines of
    /// filler. Planted lines never split a line of filler. Lines of equal depth keep their order.
    ///
    /// # Errors
    /// Returns an error if the planted lines leave room for less than four lines of filler.
    pub(super) fn context_with(&self, mut planted: Vec<PlantedLine>, rng: &mut Rng) -> Result<Vec<u32>> {
        let planted_tokens = usize::from(self.words.bos().is_some())
            + planted.iter().map(|line| line.words.len() + 1).sum::<usize>();
        self.ensure_tokens(planted_tokens + FEWEST_LINES * (WORDS_PER_LINE + 1))?;
        let filler = self.lines(self.tokens - planted_tokens, rng);
        planted.sort_by(|a, b| a.depth.total_cmp(&b.depth));
        let mut context: Vec<u32> = self.words.bos().into_iter().collect();
        let mut planted = planted.into_iter().peekable();
        for before in 0..=filler.len() {
            let is_here = |line: &PlantedLine| (line.depth * filler.len() as f64).round() as usize <= before;
            while let Some(line) = planted.next_if(is_here) {
                context.extend(line.words);
                context.push(self.words.newline());
            }
            context.extend(filler.get(before).into_iter().flatten());
        }
        Ok(context)
    }

    /// Returns an error if the context has fewer than `needed` tokens.
    pub(super) fn ensure_tokens(&self, needed: usize) -> Result<()> {
        ensure!(
            Unfit,
            self.tokens >= needed,
            "a context of the task {} needs {needed} tokens or more: {} are too few",
            self.kind,
            self.tokens
        );
        Ok(())
    }

    /// Returns lines of filler with `tokens` tokens in total, including newlines. If the last tokens do not
    /// fill a line, the first line is shorter.
    pub(super) fn lines(&self, tokens: usize, rng: &mut Rng) -> Vec<Vec<u32>> {
        let first = tokens % (WORDS_PER_LINE + 1);
        let full = std::iter::repeat_n(WORDS_PER_LINE + 1, tokens / (WORDS_PER_LINE + 1));
        let lengths = (first > 0).then_some(first).into_iter().chain(full);
        let mut deck = Deck::new(self.filler);
        let line = |length: usize| [deck.deal(length - 1, rng), vec![self.words.newline()]].concat();
        lengths.map(line).collect()
    }
}
