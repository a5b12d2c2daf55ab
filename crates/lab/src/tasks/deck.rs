//! A [`Deck`] deals random words without needless repetition.

use bitkv_stats::Rng;

/// Deals words in random order. When all words were dealt, it deals them again in another order.
///
/// If words were drawn independently, some would repeat early. A question about what follows a word would
/// then have several answers long before the vocabulary is used up.
#[derive(Clone, Debug)]
pub(super) struct Deck<'a> {
    words: &'a [u32],
    left: Vec<u32>,
}

impl<'a> Deck<'a> {
    pub(super) fn new(words: &'a [u32]) -> Deck<'a> {
        Deck { words, left: Vec::new() }
    }

    /// Returns the next `count` words.
    pub(super) fn deal(&mut self, count: usize, rng: &mut Rng) -> Vec<u32> {
        let mut dealt = Vec::with_capacity(count);
        while dealt.len() < count {
            if self.left.is_empty() {
                self.left = self.words.to_vec();
                rng.shuffle(&mut self.left);
            }
            let first = self.left.len().saturating_sub(count - dealt.len());
            dealt.extend(self.left.drain(first..));
        }
        dealt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_dealt_once_before_any_is_dealt_twice() {
        let (words, mut rng) = ([1, 2, 3, 4, 5], Rng::new(1));
        let mut deck = Deck::new(&words);
        let dealt: Vec<u32> = [2, 0, 7, 1].into_iter().flat_map(|count| deck.deal(count, &mut rng)).collect();
        assert_eq!(dealt.len(), 10);
        for round in dealt.chunks(5) {
            let mut round = round.to_vec();
            round.sort_unstable();
            assert_eq!(round, words);
        }
        assert_ne!(dealt[..5], dealt[5..], "another order");
    }
}
