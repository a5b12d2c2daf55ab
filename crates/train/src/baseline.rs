//! Baselines for the quality on held-out text: unigram and trigram models of the same tokens.

use std::collections::HashMap;

/// The discount of every count above 0 (absolute discounting, Ney, Essen and Kneser 1994).
const DISCOUNT: f64 = 0.75;

/// The bits per byte of the two baselines on held-out tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Baselines {
    /// The unigram model: relative frequencies, with one added to every count.
    pub unigram: f64,
    /// The trigram model with absolute discounting, which backs off to bigrams and unigrams.
    pub trigram: f64,
}

/// The counts of the tokens that follow one context.
#[derive(Debug, Default)]
struct Followers {
    /// The number of tokens that follow it.
    total: u32,
    /// The number of different tokens that follow it.
    different: u32,
}

/// Counts the n-grams of `train` and scores `valid`; `bytes` is the number of UTF-8 bytes of each token.
pub(crate) fn baselines(train: &[u16], valid: &[u16], bytes: &[u32]) -> Baselines {
    let vocabulary = bytes.len();
    let counts = Counts::new(train, vocabulary);
    let size: f64 = valid.iter().skip(2).map(|&t| bytes[t as usize] as f64).sum();
    let (mut unigram, mut trigram) = (0.0, 0.0);
    for window in valid.windows(3) {
        unigram -= counts.unigram(window[2]).log2();
        trigram -= counts.trigram([window[0], window[1], window[2]]).log2();
    }
    Baselines { unigram: unigram / size, trigram: trigram / size }
}

/// The n-gram counts of a text.
struct Counts {
    /// The number of tokens, plus one for each entry of the vocabulary.
    tokens: f64,
    unigrams: Vec<u32>,
    bigrams: HashMap<u32, u32>,
    followers_of_token: HashMap<u32, Followers>,
    trigrams: HashMap<u64, u32>,
    followers_of_pair: HashMap<u32, Followers>,
}

impl Counts {
    fn new(train: &[u16], vocabulary: usize) -> Counts {
        let mut counts = Counts {
            tokens: (train.len() + vocabulary) as f64,
            unigrams: vec![1; vocabulary],
            bigrams: HashMap::new(),
            followers_of_token: HashMap::new(),
            trigrams: HashMap::new(),
            followers_of_pair: HashMap::new(),
        };
        train.iter().for_each(|&t| counts.unigrams[t as usize] += 1);
        for w in train.windows(2) {
            count_ngram(
                &mut counts.bigrams,
                pair_key(w[0], w[1]),
                &mut counts.followers_of_token,
                w[0] as u32,
            );
        }
        for w in train.windows(3) {
            let context = pair_key(w[0], w[1]);
            count_ngram(
                &mut counts.trigrams,
                (context as u64) << 16 | w[2] as u64,
                &mut counts.followers_of_pair,
                context,
            );
        }
        counts
    }

    fn unigram(&self, token: u16) -> f64 {
        self.unigrams[token as usize] as f64 / self.tokens
    }

    fn bigram(&self, [a, b]: [u16; 2]) -> f64 {
        discounted(self.bigrams.get(&pair_key(a, b)), self.followers_of_token.get(&(a as u32)), || {
            self.unigram(b)
        })
    }

    fn trigram(&self, [a, b, c]: [u16; 3]) -> f64 {
        let context = pair_key(a, b);
        let count = self.trigrams.get(&((context as u64) << 16 | c as u64));
        discounted(count, self.followers_of_pair.get(&context), || self.bigram([b, c]))
    }
}

/// Packs two tokens into one key.
fn pair_key(a: u16, b: u16) -> u32 {
    (a as u32) << 16 | b as u32
}

/// Counts one n-gram and the follower of its context.
fn count_ngram<K: std::hash::Hash + Eq>(
    counts: &mut HashMap<K, u32>,
    key: K,
    after: &mut HashMap<u32, Followers>,
    context: u32,
) {
    let count = counts.entry(key).or_default();
    *count += 1;
    let followers = after.entry(context).or_default();
    followers.total += 1;
    followers.different += (*count == 1) as u32;
}

/// Returns the discounted probability of the last token of an n-gram. `lower` returns its probability given
/// one token less, to which this probability backs off.
fn discounted(count: Option<&u32>, after: Option<&Followers>, lower: impl Fn() -> f64) -> f64 {
    let Some(after) = after else { return lower() };
    let total = after.total as f64;
    let seen = (count.copied().unwrap_or(0) as f64 - DISCOUNT).max(0.0) / total;
    seen + DISCOUNT * after.different as f64 / total * lower()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one() {
        let train: Vec<u16> = (0..500u32).map(|i| (i * i % 7) as u16).collect();
        let counts = Counts::new(&train, 9);
        for context in [[0, 1], [4, 2], [8, 8]] {
            let total: f64 = (0..9).map(|c| counts.trigram([context[0], context[1], c])).sum();
            assert!((total - 1.0).abs() < 1e-9, "{total} after {context:?}");
        }
    }

    #[test]
    fn only_trigrams_predict_a_regular_text() {
        let text: Vec<u16> = (0..3000).map(|i| (i % 4) as u16).collect();
        let scores = baselines(&text, &text[..400], &[1; 4]);
        assert!((scores.unigram - 2.0).abs() < 0.01 && scores.trigram < 0.05, "{scores:?}");
    }
}
