//! Generation, token by token.

use std::time::Instant;

use crate::{Error, KvCache, Model, Observe, Observed, Result};

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The most probable token; the smallest id among equals.
    Greedy,
    /// A random token.
    Random {
        /// Logits are divided by it; above 0.
        temperature: f32,
        /// Only the most probable tokens that together reach this probability; above 0, at most 1.
        top_p: f32,
        /// Start of the random numbers.
        seed: u64,
    },
}

/// What to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationOptions {
    /// Most tokens to generate.
    pub max_tokens: usize,
    /// Tokens that end the text; they are not part of it.
    pub stop: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// A stop token came.
    Token(u32),
    /// `max_tokens` are there.
    MaxTokens,
    /// The model has no position left.
    ContextFull,
    /// The token callback returned false.
    Caller,
}

/// A generated text.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// New tokens, without a stop token.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub stop: Stop,
    /// Seconds for the prompt.
    pub prefill_seconds: f64,
    /// Seconds for everything after the hook.
    pub decode_seconds: f64,
}

/// Called between prompt and generation; may evict from the cache.
pub type AfterPrefill<'a> =
    &'a mut dyn FnMut(
        &Observed,
        &mut dyn KvCache,
    ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Runs `prompt` and generates. With `after_prefill`, the prompt is observed as asked, and the hook gets the
/// observations and the cache. `on_token` sees each new token and may end the text by returning false.
///
/// # Errors
/// When options are out of range, the hook fails, or as [`Model::forward`].
pub fn generate(
    model: &Model,
    prompt: &[u32],
    cache: &mut dyn KvCache,
    options: &GenerationOptions,
    after_prefill: Option<(&Observe, AfterPrefill<'_>)>,
    on_token: &mut dyn FnMut(u32) -> bool,
) -> Result<Generated> {
    let mut sampler = Sampler::new(options.sampling)?;
    let started = Instant::now();
    let (mut logits, observed) =
        model.prefill(prompt, cache, after_prefill.as_ref().map(|(observe, _)| *observe))?;
    let prefill_seconds = started.elapsed().as_secs_f64();
    if let (Some((_, hook)), Some(observed)) = (after_prefill, observed) {
        hook(&observed, cache).map_err(Error::Hook)?;
    }
    let started = Instant::now();
    let mut tokens = Vec::new();
    let stop = loop {
        if tokens.len() == options.max_tokens {
            break Stop::MaxTokens;
        }
        let token = sampler.next(&logits);
        if options.stop.contains(&token) {
            break Stop::Token(token);
        }
        tokens.push(token);
        if !on_token(token) {
            break Stop::Caller;
        }
        if tokens.len() < options.max_tokens {
            if cache.tokens_seen() == model.config().max_position_embeddings {
                break Stop::ContextFull;
            }
            logits = model.decode(token, cache)?;
        }
    };
    Ok(Generated { tokens, stop, prefill_seconds, decode_seconds: started.elapsed().as_secs_f64() })
}

struct Sampler {
    sampling: Sampling,
    state: u64,
}

impl Sampler {
    fn new(sampling: Sampling) -> Result<Self> {
        let Sampling::Random { temperature, top_p, seed } = sampling else {
            return Ok(Sampler { sampling, state: 0 });
        };
        let bad =
            |option, value: f32, reason| Err(Error::Option { option, value: value.to_string(), reason });
        if !(temperature > 0.0 && temperature.is_finite()) {
            return bad(
                "temperature",
                temperature,
                "but must be above 0; use greedy sampling for the most probable token",
            );
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return bad("top_p", top_p, "but must be above 0 and at most 1");
        }
        Ok(Sampler { sampling, state: seed })
    }

    fn next(&mut self, logits: &[f32]) -> u32 {
        let Sampling::Random { temperature, top_p, .. } = self.sampling else { return argmax(logits) };
        let largest = f64::from(logits[argmax(logits) as usize]);
        let weight = |l: &f32| ((f64::from(*l) - largest) / f64::from(temperature)).exp();
        let mut ranked: Vec<(u32, f64)> =
            logits.iter().map(weight).enumerate().map(|(i, w)| (i as u32, w)).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let total: f64 = ranked.iter().map(|r| r.1).sum();
        let (mut nucleus, mut count) = (0.0, 0);
        while count < ranked.len() && (count == 0 || nucleus < f64::from(top_p) * total) {
            nucleus += ranked[count].1;
            count += 1;
        }
        let mut left = self.uniform() * nucleus;
        for (id, weight) in &ranked[..count] {
            left -= weight;
            if left < 0.0 {
                return *id;
            }
        }
        ranked[count - 1].0
    }

    /// SplitMix64 (Steele, Lea and Flood 2014), 53 bits of [0, 1).
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn argmax(logits: &[f32]) -> u32 {
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
        Sampling::Random { temperature, top_p, seed }
    }

    #[test]
    fn greedy_takes_the_first_largest() {
        assert_eq!(Sampler::new(Sampling::Greedy).unwrap().next(&[1.0, 3.0, 3.0, f32::NAN]), 1);
    }

    #[test]
    fn frequencies_follow_probabilities() {
        let mut sampler = Sampler::new(random(2.0, 1.0, 1)).unwrap();
        let logits = [2.0 * 0.5f32.ln(), 2.0 * 0.3f32.ln(), 2.0 * 0.2f32.ln()];
        let mut counts = [0; 3];
        (0..20_000).for_each(|_| counts[sampler.next(&logits) as usize] += 1);
        // Five standard deviations of a binomial of 20,000.
        for (count, p) in counts.iter().zip([0.5, 0.3, 0.2]) {
            assert!(
                (f64::from(*count) / 20_000.0 - p).abs() < 5.0 * (p * (1.0 - p) / 20_000.0f64).sqrt(),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn top_p_cuts_the_tail() {
        let mut sampler = Sampler::new(random(1.0, 0.7, 1)).unwrap();
        let logits = [0.2f32.ln(), 0.5f32.ln(), 0.3f32.ln()];
        assert!((0..2000).all(|_| sampler.next(&logits) != 0));
        let mut only_best = Sampler::new(random(1.0, 0.01, 1)).unwrap();
        assert!((0..100).all(|_| only_best.next(&logits) == 1));
    }

    #[test]
    fn seeds_repeat_and_options_are_checked() {
        let run = |seed| {
            let mut s = Sampler::new(random(1.0, 0.9, seed)).unwrap();
            (0..50).map(|_| s.next(&[0.0; 10])).collect::<Vec<_>>()
        };
        assert_eq!(run(4), run(4));
        assert_ne!(run(4), run(5));
        for (t, p) in [(0.0, 0.5), (-1.0, 0.5), (f32::NAN, 0.5), (1.0, 0.0), (1.0, 1.1)] {
            assert!(matches!(Sampler::new(random(t, p, 0)), Err(Error::Option { .. })), "{t} {p}");
        }
    }
}
