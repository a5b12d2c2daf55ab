//! Text generation, token by token.
//!
//! [`generate`] continues one prompt, and [`generate_batch`] continues several at once. Both take
//! [`GenerationOptions`] and return a [`Generated`] per prompt. An [`AfterPrefill`] hook may look at the
//! probes of the prompt and evict from the cache before the first token is generated. The [`Hooks`] of a
//! batch may also evict while tokens are generated.

use std::time::Instant;

use candle_core::Tensor;

use crate::{
    Error, KvCache, LmHeadError, LmHeadPrecision, LmHeadStats, Model, Place, ProbeOutput, Probes, Result,
    Sampling, Sequence, forward::HiddenRows, lm_head::ShortlistedLogits, sample::Sampler,
};

/// The options of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationOptions {
    /// The largest number of tokens to generate.
    pub max_tokens: usize,
    /// The tokens that end the text. They are not part of the result.
    pub stop: Vec<u32>,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// The repetition penalty. Above 1, tokens that occurred in the prompt or in the generated text become
    /// less likely; 1 has no effect.
    pub repetition_penalty: f32,
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StopReason {
    /// The model chose this stop token.
    Token(u32),
    /// `max_tokens` tokens were generated.
    MaxTokens,
    /// The model has no position left for another token.
    ContextFull,
    /// The callback `on_token` returned false.
    Caller,
}

/// A generated text.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The generated tokens, without a stop token.
    pub tokens: Vec<u32>,
    /// Why generation ended.
    pub stop: StopReason,
    /// The seconds that the prompt took.
    pub prefill_seconds: f64,
    /// The seconds that decoding took, after the `after_prefill` hook.
    pub decode_seconds: f64,
    /// The error of the int8 LM head and the work that it caused; `None` for the exact LM head. Both generate
    /// the same tokens.
    pub lm_head: Option<LmHeadStats>,
}

/// The error of a hook.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

/// A hook that is called after the prompt and before the first generated token. It receives the index of the
/// prompt, the output of the probes, and the cache, from which it may evict.
pub type AfterPrefill<'a> =
    &'a mut dyn FnMut(usize, &ProbeOutput, &mut dyn KvCache) -> std::result::Result<(), HookError>;

/// What a caller observes and changes while texts are generated. `text` is the index of a prompt.
pub trait Hooks {
    /// The probes that observe the prompts.
    fn probes(&self) -> Option<&Probes> {
        None
    }

    /// Returns the tokens that the text has before its prompt, because the cache was filled earlier. The
    /// repetition penalty applies to them too.
    fn earlier_tokens(&self, _text: usize) -> &[u32] {
        &[]
    }

    /// Is called after a prompt and before its first generated token. The hook may evict from the cache.
    ///
    /// # Errors
    /// Any error ends the generation of all texts.
    fn after_prefill(
        &mut self,
        _text: usize,
        _probed: ProbeOutput,
        _cache: &mut dyn KvCache,
    ) -> std::result::Result<(), HookError> {
        Ok(())
    }

    /// Is called for each new token. The text ends if it returns false.
    fn on_token(&mut self, _text: usize, _token: u32) -> bool {
        true
    }

    /// Is called after a generated token was run through the model. The hook may evict from the cache.
    ///
    /// # Errors
    /// Any error ends the generation of all texts.
    fn after_step(
        &mut self,
        _text: usize,
        _token: u32,
        _cache: &mut dyn KvCache,
    ) -> std::result::Result<(), HookError> {
        Ok(())
    }
}

/// The hooks of a single text.
struct Callbacks<'p, 'h, 't> {
    after_prefill: Option<(&'p Probes, AfterPrefill<'h>)>,
    on_token: &'t mut dyn FnMut(u32) -> bool,
}

impl Hooks for Callbacks<'_, '_, '_> {
    fn probes(&self) -> Option<&Probes> {
        self.after_prefill.as_ref().map(|(probes, _)| *probes)
    }

    fn after_prefill(
        &mut self,
        text: usize,
        probed: ProbeOutput,
        cache: &mut dyn KvCache,
    ) -> std::result::Result<(), HookError> {
        self.after_prefill.as_mut().map_or(Ok(()), |(_, hook)| hook(text, &probed, cache))
    }

    fn on_token(&mut self, _: usize, token: u32) -> bool {
        (self.on_token)(token)
    }
}

/// Runs `prompt` and generates the tokens that follow.
///
/// `after_prefill` contains the probes that observe the prompt, and the hook that is called before the first
/// token is chosen. `on_token` receives each new token; the text ends if it returns false. The tokens do not
/// depend on the precision of the LM head.
///
/// # Errors
/// Fails if an option is out of range, if the sampling needs all logits but the LM head is int8, if the hook
/// fails, or as [`Model::forward`] does.
pub fn generate(
    model: &Model,
    prompt: &[u32],
    cache: &mut dyn KvCache,
    options: &GenerationOptions,
    after_prefill: Option<(&Probes, AfterPrefill<'_>)>,
    on_token: &mut dyn FnMut(u32) -> bool,
) -> Result<Generated> {
    let mut caches = [cache];
    let mut hooks = Callbacks { after_prefill, on_token };
    Ok(generate_batch(model, &[prompt], &mut caches, options, &mut hooks)?.remove(0))
}

/// Continues several prompts at once. Each decoding step reads the weights once for all texts.
///
/// Each text equals the one that [`generate`] returns for its prompt. If [`Hooks::on_token`] returns false,
/// only that text ends. In each result, `prefill_seconds` is the time of its own prompt, and `decode_seconds`
/// the time of decoding all texts.
///
/// # Errors
/// Fails as [`generate`] does.
///
/// # Panics
/// Panics if the number of caches is not the number of prompts.
pub fn generate_batch(
    model: &Model,
    prompts: &[&[u32]],
    caches: &mut [&mut dyn KvCache],
    options: &GenerationOptions,
    hooks: &mut dyn Hooks,
) -> Result<Vec<Generated>> {
    let mut runs = prefill_all(model, prompts, caches, options, hooks)?;
    let decode_seconds = decode(model, &mut runs, options, hooks)?;
    Ok(runs.into_iter().map(|run| run.finish(decode_seconds)).collect())
}

/// Runs the prompts one after another and calls the hook after each.
fn prefill_all<'a>(
    model: &Model,
    prompts: &[&[u32]],
    caches: &'a mut [&mut dyn KvCache],
    options: &GenerationOptions,
    hooks: &mut dyn Hooks,
) -> Result<Vec<TextRun<'a>>> {
    assert_eq!(prompts.len(), caches.len(), "every prompt has a cache");
    let mut runs = Vec::new();
    for (i, (prompt, cache)) in prompts.iter().zip(caches).enumerate() {
        let context = hooks.earlier_tokens(i).iter().chain(*prompt);
        let sampler = Sampler::new(options.sampling, options.repetition_penalty, context)?;
        let mut source = LogitSource::new(model, &sampler)?;
        let started = Instant::now();
        let output = model.run_one(prompt, *cache, hooks.probes(), HiddenRows::Last)?;
        let last = cache.tokens_seen() - 1;
        let logits = next_logits(model, &output.hidden, &mut [(&mut source, &sampler)], &[last])?.remove(0);
        let prefill_seconds = started.elapsed().as_secs_f64();
        if let LogitSource::Shortlist { stats, .. } = &mut source {
            stats.error = model.lm_head_error(&output.hidden.flatten_all()?.to_vec1::<f32>()?)?;
        }
        hooks.after_prefill(i, output.probed.unwrap_or_default(), *cache).map_err(Error::Hook)?;
        let (tokens, stop) = (Vec::new(), StopReason::MaxTokens);
        runs.push(TextRun { cache: *cache, sampler, source, logits, tokens, stop, prefill_seconds });
    }
    Ok(runs)
}

/// A text that is being generated.
struct TextRun<'a> {
    cache: &'a mut dyn KvCache,
    sampler: Sampler,
    source: LogitSource,
    /// The logits after the last token, `[vocab]`.
    logits: Vec<f32>,
    tokens: Vec<u32>,
    /// Why the text ended; `MaxTokens` while it is being generated.
    stop: StopReason,
    prefill_seconds: f64,
}

impl TextRun<'_> {
    fn finish(self, decode_seconds: f64) -> Generated {
        let TextRun { tokens, stop, prefill_seconds, source, .. } = self;
        let lm_head = match source {
            LogitSource::All => None,
            LogitSource::Shortlist { stats, .. } => Some(stats),
        };
        Generated { tokens, stop, prefill_seconds, decode_seconds, lm_head }
    }

    /// Chooses the next token and passes it to `show`. Returns false if the text has ended. `limit` is the
    /// number of positions of the model.
    fn advance(&mut self, options: &GenerationOptions, limit: usize, show: impl FnOnce(u32) -> bool) -> bool {
        if self.tokens.len() == options.max_tokens {
            return false;
        }
        let token = self.sampler.next(&mut self.logits);
        if options.stop.contains(&token) {
            self.stop = StopReason::Token(token);
            return false;
        }
        self.tokens.push(token);
        if !show(token) {
            self.stop = StopReason::Caller;
            return false;
        }
        if self.tokens.len() == options.max_tokens {
            return false;
        }
        if self.cache.furthest_rotary_position() >= limit {
            self.stop = StopReason::ContextFull;
            return false;
        }
        true
    }
}

/// Where the logits of a text come from.
enum LogitSource {
    /// All logits, from the exact LM head.
    All,
    /// Only the logits of tokens that may be chosen. The int8 LM head finds these tokens, and the exact LM
    /// head computes their logits.
    Shortlist { count: usize, stats: LmHeadStats },
}

impl LogitSource {
    fn new(model: &Model, sampler: &Sampler) -> Result<LogitSource> {
        if model.lm_head_precision() == LmHeadPrecision::Exact {
            return Ok(LogitSource::All);
        }
        let (Some(count), _) = sampler.required_logits() else {
            let reason = "but an int8 LM head finds only the most probable tokens: \
                          give a top_k above 0, choose greedy sampling, or use the exact LM head";
            return Err(Error::Option { option: "top_k", value: "0".into(), reason });
        };
        Ok(LogitSource::Shortlist {
            count,
            stats: LmHeadStats { error: LmHeadError { max: 0.0, rms: 0.0 }, rescored: 0 },
        })
    }
}

/// Returns the logits of the next token of each text, `[texts][vocab]`, from the hidden states
/// `[texts, hidden]`. `positions` are those of the last token of each text, for errors. All texts have the
/// same model, so either all of them use a shortlist or none does.
fn next_logits(
    model: &Model,
    hidden: &Tensor,
    texts: &mut [(&mut LogitSource, &Sampler)],
    positions: &[usize],
) -> Result<Vec<Vec<f32>>> {
    let mut rows = Vec::new();
    for (text, (source, sampler)) in texts.iter_mut().enumerate() {
        let LogitSource::Shortlist { count, stats } = source else {
            return Ok(model.logits_after(hidden, positions)?.to_vec2()?);
        };
        let hidden: Vec<f32> = hidden.get(text)?.to_vec1()?;
        let ShortlistedLogits { logits, rescored } =
            model.lm_heads().shortlisted(&hidden, *count, &sampler.required_logits().1);
        stats.rescored += rescored;
        check_shortlist(&logits, positions[text])?;
        rows.push(logits);
    }
    Ok(rows)
}

/// Checks the logits of a shortlist, in which all other tokens have minus infinity. `position` is that of the
/// token before.
fn check_shortlist(logits: &[f32], position: usize) -> Result<()> {
    let invalid = |logit: &&f32| logit.is_nan() || **logit == f32::INFINITY;
    let nothing = || logits.iter().all(|logit| !logit.is_finite()).then_some(&f32::NEG_INFINITY);
    match logits.iter().find(invalid).or_else(nothing) {
        Some(&value) => Err(Error::NotFinite { place: Place::Logits, position, value }),
        None => Ok(()),
    }
}

/// Decodes until every text has ended; returns the seconds that this took.
fn decode(
    model: &Model,
    runs: &mut [TextRun<'_>],
    options: &GenerationOptions,
    hooks: &mut dyn Hooks,
) -> Result<f64> {
    let (started, limit) = (Instant::now(), model.config().max_position_embeddings);
    let mut active: Vec<usize> = (0..runs.len()).collect();
    loop {
        active.retain(|&i| runs[i].advance(options, limit, |token| hooks.on_token(i, token)));
        if active.is_empty() {
            return Ok(started.elapsed().as_secs_f64());
        }
        let running = runs.iter_mut().enumerate().filter(|(i, _)| active.contains(i)).map(|(_, run)| run);
        let (mut sequences, mut targets) = (Vec::new(), Vec::new());
        let mut sources = Vec::new();
        for TextRun { cache, tokens, sampler, source, logits: run_logits, .. } in running {
            sequences.push(Sequence { tokens: &tokens[tokens.len() - 1..], cache: *cache });
            sources.push((source, &*sampler));
            targets.push(run_logits);
        }
        let hidden = model.forward_batch(&mut sequences)?;
        let positions: Vec<usize> = sequences.iter().map(|s| s.cache.tokens_seen() - 1).collect();
        let rows = next_logits(model, &hidden, &mut sources, &positions)?;
        targets.into_iter().zip(rows).for_each(|(targets, row)| *targets = row);
        for &i in &active {
            let TextRun { cache, tokens, .. } = &mut runs[i];
            hooks.after_step(i, tokens[tokens.len() - 1], *cache).map_err(Error::Hook)?;
        }
    }
}
