//! Generation, token by token.

use std::time::Instant;

use crate::{Error, KvCache, Model, Observe, Observed, Result, Sampling, Sequence, sample::Sampler};

/// What to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationOptions {
    /// Most tokens to generate.
    pub max_tokens: usize,
    /// Tokens that end the text; they are not part of it.
    pub stop: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Above 1 makes tokens that were seen, in the prompt too, less likely; 1 changes nothing.
    pub repetition_penalty: f32,
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

/// Called between prompt and generation with the prompt's index; may evict from the cache.
pub type AfterPrefill<'a> =
    &'a mut dyn FnMut(
        usize,
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
    let mut caches = [cache];
    let mut begun = begin(model, &[prompt], &mut caches, options, after_prefill)?;
    let decode_seconds = decode(model, &mut begun, options, &mut |_, token| on_token(token))?;
    Ok(begun.remove(0).finish(decode_seconds))
}

/// Generates after several prompts at once: each decoding step reads the weights once for all of them. Every text
/// equals that of [`generate`] with the same options. `on_token` gets the index of the prompt too; returning false
/// ends that text.
///
/// Each result has its own prompt's seconds, and the seconds of decoding all of them.
///
/// # Errors
/// As [`generate`].
///
/// # Panics
/// When there are not as many caches as prompts.
pub fn generate_batch(
    model: &Model,
    prompts: &[&[u32]],
    caches: &mut [&mut dyn KvCache],
    options: &GenerationOptions,
    after_prefill: Option<(&Observe, AfterPrefill<'_>)>,
    on_token: &mut dyn FnMut(usize, u32) -> bool,
) -> Result<Vec<Generated>> {
    let mut runs = begin(model, prompts, caches, options, after_prefill)?;
    let decode_seconds = decode(model, &mut runs, options, on_token)?;
    Ok(runs.into_iter().map(|run| run.finish(decode_seconds)).collect())
}

/// Runs the prompts one after another.
fn begin<'a>(
    model: &Model,
    prompts: &[&[u32]],
    caches: &'a mut [&mut dyn KvCache],
    options: &GenerationOptions,
    mut after_prefill: Option<(&Observe, AfterPrefill<'_>)>,
) -> Result<Vec<Run<'a>>> {
    assert_eq!(prompts.len(), caches.len(), "every prompt has a cache");
    let mut runs = Vec::new();
    for (i, (prompt, cache)) in prompts.iter().zip(caches).enumerate() {
        let sampler = Sampler::new(options.sampling, options.repetition_penalty, prompt)?;
        let started = Instant::now();
        let (logits, observed) =
            model.prefill(prompt, *cache, after_prefill.as_ref().map(|(observe, _)| *observe))?;
        let prefill_seconds = started.elapsed().as_secs_f64();
        if let (Some((_, hook)), Some(observed)) = (&mut after_prefill, observed) {
            hook(i, &observed, *cache).map_err(Error::Hook)?;
        }
        let (tokens, stop) = (Vec::new(), Stop::MaxTokens);
        runs.push(Run { cache: *cache, sampler, logits, tokens, stop, prefill_seconds });
    }
    Ok(runs)
}

/// A text on its way.
struct Run<'a> {
    cache: &'a mut dyn KvCache,
    sampler: Sampler,
    /// After the last token.
    logits: Vec<f32>,
    tokens: Vec<u32>,
    stop: Stop,
    prefill_seconds: f64,
}

impl Run<'_> {
    fn finish(self, decode_seconds: f64) -> Generated {
        let Run { tokens, stop, prefill_seconds, .. } = self;
        Generated { tokens, stop, prefill_seconds, decode_seconds }
    }

    /// Takes the next token; false when the text is at its end.
    fn advance(&mut self, options: &GenerationOptions, limit: usize, show: impl FnOnce(u32) -> bool) -> bool {
        if self.tokens.len() == options.max_tokens {
            return false;
        }
        let token = self.sampler.next(&mut self.logits);
        if options.stop.contains(&token) {
            self.stop = Stop::Token(token);
            return false;
        }
        self.tokens.push(token);
        if !show(token) {
            self.stop = Stop::Caller;
            return false;
        }
        if self.tokens.len() == options.max_tokens {
            return false;
        }
        if self.cache.furthest_rotary_position() >= limit {
            self.stop = Stop::ContextFull;
            return false;
        }
        true
    }
}

/// Decodes until every text has ended; returns the seconds it took.
fn decode(
    model: &Model,
    runs: &mut [Run<'_>],
    options: &GenerationOptions,
    on_token: &mut dyn FnMut(usize, u32) -> bool,
) -> Result<f64> {
    let (started, limit) = (Instant::now(), model.config().max_position_embeddings);
    let mut active: Vec<usize> = (0..runs.len()).collect();
    loop {
        active.retain(|&i| runs[i].advance(options, limit, |token| on_token(i, token)));
        if active.is_empty() {
            return Ok(started.elapsed().as_secs_f64());
        }
        let running = runs.iter_mut().enumerate().filter(|(i, _)| active.contains(i)).map(|(_, run)| run);
        let (mut sequences, mut logits) = (Vec::new(), Vec::new());
        for Run { cache, tokens, logits: run_logits, .. } in running {
            sequences.push(Sequence { tokens: &tokens[tokens.len() - 1..], cache: *cache });
            logits.push(run_logits);
        }
        let rows = model.logits(&model.forward_batch(&mut sequences)?)?.to_vec2()?;
        logits.into_iter().zip(rows).for_each(|(to, row)| *to = row);
    }
}
