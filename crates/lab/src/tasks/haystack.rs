//! Lines of interest between lines of filler.

use bitkv_stats::Rng;

use super::{TaskKind, Words, deck::Deck};

use crate::{Result, error::ensure};

/// Words of a full line of filler.
pub(super) const WORDS_PER_LINE: usize = 12;

/// Fewest full lines of filler among which a depth means something.
pub(super) const FEWEST_LINES: usize = 4;

/// A line and the part of the filler that comes before it, 0..=1.
#[derive(Clone, Debug)]
pub(super) struct Planted {
    pub(super) depth: f64,
    /// Words of the line, without its end.
    pub(super) words: Vec<u32>,
}

/// How contexts of a kind are filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Haystack<'a> {
    pub(super) kind: TaskKind,
    pub(super) words: &'a Words,
    /// What lines of filler are made of.
    pub(super) filler: &'a [u32],
    /// Tokens of the context.
    pub(super) tokens: usize,
}

impl Haystack<'_> {
    /// The context: beginning of sequence, then `planted` among random lines of filler. A line is put between
    /// whole lines of filler, those of equal depth in the order given.
    ///
    /// # Errors
    /// When the planted lines leave less than four lines of filler.
    pub(super) fn with(&self, mut planted: Vec<Planted>, rng: &mut Rng) -> Result<Vec<u32>> {
        let own = usize::from(self.words.bos().is_some())
            + planted.iter().map(|line| line.words.len() + 1).sum::<usize>();
        self.ensure_tokens(own + FEWEST_LINES * (WORDS_PER_LINE + 1))?;
        let filler = self.lines(self.tokens - own, rng);
        planted.sort_by(|a, b| a.depth.total_cmp(&b.depth));
        let mut context: Vec<u32> = self.words.bos().into_iter().collect();
        let mut planted = planted.into_iter().peekable();
        for before in 0..=filler.len() {
            let here = |line: &Planted| (line.depth * filler.len() as f64).round() as usize <= before;
            while let Some(line) = planted.next_if(here) {
                context.extend(line.words);
                context.push(self.words.newline());
            }
            context.extend(filler.get(before).into_iter().flatten());
        }
        Ok(context)
    }

    /// Refuses a context of fewer tokens than `needed`.
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

    /// `tokens` tokens of words dealt from the filler, in lines; the first line is the short one.
    pub(super) fn lines(&self, tokens: usize, rng: &mut Rng) -> Vec<Vec<u32>> {
        let first = tokens % (WORDS_PER_LINE + 1);
        let full = std::iter::repeat_n(WORDS_PER_LINE + 1, tokens / (WORDS_PER_LINE + 1));
        let lengths = (first > 0).then_some(first).into_iter().chain(full);
        let mut deck = Deck::new(self.filler);
        let line = |length: usize| [deck.deal(length - 1, rng), vec![self.words.newline()]].concat();
        lengths.map(line).collect()
    }
}
