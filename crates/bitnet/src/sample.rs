//! Chooses the next token from logits.

use bitkv_stats::Rng;
use std::collections::BTreeSet;

use crate::{Error, Result};

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The most probable token. Of equally probable tokens, it is the one with the smallest id.
    Greedy,
    /// A token drawn at random.
    Random {
        /// The temperature by which logits are divided; above 0.
        temperature: f32,
        /// Only the `top_k` most probable tokens can be drawn; 0 means all.
        top_k: usize,
        /// Only the most probable of the top k tokens, as many as together reach this probability, can be
        /// drawn; above 0, at most 1.
        top_p: f32,
        /// The seed of the random numbers.
        seed: u64,
    },
}

impl Sampling {
    /// Checks the options, and the repetition penalty that is used with them.
    ///
    /// # Errors
    /// Returns [`Error::Option`] for the first option that is out of range.
    pub fn check(&self, repetition_penalty: f32) -> Result<()> {
        let invalid =
            |option, value: f32, reason| Err(Error::Option { option, value: value.to_string(), reason });
        let positive = |value: f32| value > 0.0 && value.is_finite();
        if let Sampling::Random { temperature, top_p, .. } = *self {
            if !positive(temperature) {
                return invalid(
                    "temperature",
                    temperature,
                    "but must be a positive number: use greedy sampling to choose the most probable token",
                );
            }
            if !(top_p > 0.0 && top_p <= 1.0) {
                return invalid(
                    "top_p",
                    top_p,
                    "but must be above 0 and at most 1: use 1 to choose among all tokens",
                );
            }
        }
        if !positive(repetition_penalty) {
            return invalid(
                "repetition_penalty",
                repetition_penalty,
                "but must be a positive number: use 1 for no effect",
            );
        }
        Ok(())
    }
}

/// Chooses tokens one after another.
pub(crate) struct Sampler {
    sampling: Sampling,
    penalty: f32,
    seen: BTreeSet<u32>,
    random: Rng,
}

impl Sampler {
    /// Returns a sampler for the tokens after `prompt`. `penalty` is the repetition penalty of CTRL (Keskar
    /// et al. 2019), as transformers applies it: a positive logit of a token that occurred before is divided
    /// by the penalty, a negative one is multiplied by it. 1 has no effect.
    pub(crate) fn new<'a>(
        sampling: Sampling,
        penalty: f32,
        prompt: impl IntoIterator<Item = &'a u32>,
    ) -> Result<Self> {
        sampling.check(penalty)?;
        let seen = prompt.into_iter().copied().collect();
        let seed = match sampling {
            Sampling::Greedy => 0,
            Sampling::Random { seed, .. } => seed,
        };
        Ok(Sampler { sampling, penalty, seen, random: Rng::new(seed) })
    }

    /// Returns the next token, to which the repetition penalty applies from now on. The penalty changes
    /// `logits`, `[vocab]`.
    pub(crate) fn next(&mut self, logits: &mut [f32]) -> u32 {
        if self.penalty != 1.0 {
            for id in &self.seen {
                let logit = &mut logits[*id as usize];
                *logit = if *logit > 0.0 { *logit / self.penalty } else { *logit * self.penalty };
            }
        }
        let token = match self.sampling {
            Sampling::Greedy => argmax(logits),
            Sampling::Random { temperature, top_k, top_p, .. } => {
                self.draw(logits, f64::from(temperature), top_k, f64::from(top_p))
            }
        };
        self.seen.insert(token);
        token
    }

    /// Returns which logits the choice of the next token needs. The first value is the number of most
    /// probable tokens, or `None` for all tokens; the second lists the tokens that the repetition penalty
    /// changes, ascending.
    pub(crate) fn required_logits(&self) -> (Option<usize>, Vec<u32>) {
        let count = match self.sampling {
            Sampling::Greedy => Some(1),
            Sampling::Random { top_k, .. } => (top_k > 0).then_some(top_k),
        };
        let changed = if self.penalty == 1.0 { Vec::new() } else { self.seen.iter().copied().collect() };
        (count, changed)
    }

    /// Draws a token from those that `top_k` and `top_p` leave.
    fn draw(&mut self, logits: &[f32], temperature: f64, top_k: usize, top_p: f64) -> u32 {
        let largest = f64::from(logits[argmax(logits) as usize]);
        let weight = |l: &f32| ((f64::from(*l) - largest) / temperature).exp();
        let mut ranked: Vec<(u32, f64)> =
            ranked(logits).into_iter().map(|id| (id, weight(&logits[id as usize]))).collect();
        if top_k > 0 {
            ranked.truncate(top_k);
        }
        let total: f64 = ranked.iter().map(|r| r.1).sum();
        let (mut nucleus, mut count) = (0.0, 0);
        while count < ranked.len() && (count == 0 || nucleus < top_p * total) {
            nucleus += ranked[count].1;
            count += 1;
        }
        let mut left = self.random.unit() * nucleus;
        for (id, weight) in &ranked[..count] {
            left -= weight;
            if left < 0.0 {
                return *id;
            }
        }
        ranked[count - 1].0
    }
}

/// Returns the ids of all tokens, the most probable first. Tokens with equal logits are in ascending order.
pub(crate) fn ranked(logits: &[f32]) -> Vec<u32> {
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    ids.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b)));
    ids
}

/// Returns the index of the largest logit, the first of equal ones.
pub(crate) fn argmax(logits: &[f32]) -> u32 {
    let best = logits
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (i, l)| if *l > best.1 { (i, *l) } else { best });
    best.0 as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(temperature: f32, top_p: f32, seed: u64) -> Sampling {
        Sampling::Random { temperature, top_k: 0, top_p, seed }
    }

    fn unpenalised(sampling: Sampling) -> Sampler {
        Sampler::new(sampling, 1.0, &[]).unwrap()
    }

    #[test]
    fn greedy_takes_the_first_largest() {
        assert_eq!(unpenalised(Sampling::Greedy).next(&mut [1.0, 3.0, 3.0, f32::NAN]), 1);
    }

    #[test]
    fn frequencies_follow_probabilities() {
        let mut sampler = unpenalised(random(2.0, 1.0, 1));
        let mut logits = [2.0 * 0.5f32.ln(), 2.0 * 0.3f32.ln(), 2.0 * 0.2f32.ln()];
        let mut counts = [0; 3];
        (0..20_000).for_each(|_| counts[sampler.next(&mut logits) as usize] += 1);
        // The tolerance is five standard deviations of a binomial of 20,000 draws.
        for (count, p) in counts.iter().zip([0.5, 0.3, 0.2]) {
            assert!(
                (f64::from(*count) / 20_000.0 - p).abs() < 5.0 * (p * (1.0 - p) / 20_000.0f64).sqrt(),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn top_p_excludes_the_tail() {
        let mut sampler = unpenalised(random(1.0, 0.7, 1));
        let mut logits = [0.2f32.ln(), 0.5f32.ln(), 0.3f32.ln()];
        assert!((0..2000).all(|_| sampler.next(&mut logits) != 0));
        let mut only_best = unpenalised(random(1.0, 0.01, 1));
        assert!((0..100).all(|_| only_best.next(&mut logits) == 1));
    }

    #[test]
    fn seeds_repeat_and_options_are_checked() {
        let run = |seed| {
            let mut s = unpenalised(random(1.0, 0.9, seed));
            (0..50).map(|_| s.next(&mut [0.0; 10])).collect::<Vec<_>>()
        };
        assert_eq!(run(4), run(4));
        assert_ne!(run(4), run(5));
        for (t, p) in [(0.0, 0.5), (-1.0, 0.5), (f32::NAN, 0.5), (1.0, 0.0), (1.0, 1.1)] {
            assert!(matches!(Sampler::new(random(t, p, 0), 1.0, &[]), Err(Error::Option { .. })), "{t} {p}");
        }
    }

    #[test]
    fn top_k_is_applied_before_top_p() {
        let logits = [0.2f32.ln(), 0.4f32.ln(), 0.3f32.ln(), 0.1f32.ln()];
        let drawn = |top_k, top_p| {
            let mut s = unpenalised(Sampling::Random { temperature: 1.0, top_k, top_p, seed: 3 });
            let mut ids: Vec<u32> = (0..500).map(|_| s.next(&mut logits.clone())).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        assert_eq!(drawn(1, 1.0), [1]);
        assert_eq!(drawn(2, 1.0), [1, 2]);
        assert_eq!(drawn(0, 1.0), [0, 1, 2, 3]);
        // The first of the two tokens has 0.57 of their joint probability.
        assert_eq!((drawn(2, 0.5), drawn(2, 0.6)), (vec![1], vec![1, 2]));
    }

    #[test]
    fn repeated_tokens_are_penalised_by_sign() {
        let mut s = Sampler::new(Sampling::Greedy, 2.0, &[1]).unwrap();
        // 3 / 2 < 2; then 2 / 2 < 3 / 2; then -1 * 2 < -1.5.
        assert_eq!(s.next(&mut [2.0, 3.0, -9.0]), 0);
        assert_eq!(s.next(&mut [2.0, 3.0, -9.0]), 1);
        assert_eq!(s.next(&mut [-1.0, -1.0, -1.5]), 2);
        for penalty in [0.0, -1.0, f32::NAN] {
            assert!(matches!(Sampler::new(Sampling::Greedy, penalty, &[]), Err(Error::Option { .. })));
        }
    }
}
