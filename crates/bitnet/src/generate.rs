//! Text generation, token by token.
//!
//! [`generate`] continues one prompt, and [`generate_batch`] continues several at once. Both take
//! [`GenerationOptions`] and return a [`Generated`] per prompt. An [`AfterPrefill`] hook may look at the
//! probes of the prompt and evict from the cache before the first token is generated.

use std::time::Instant;

use candle_core::Tensor;

use crate::{
    Error, KvCache, LmHeadError, LmHeadPrecision, LmHeadStats, Model, ProbeOutput, Probes, Result, Sampling,
    Sequence, forward::HiddenRows, lm_head::ShortlistedLogits, sample::Sampler,
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

/// A hook that is called after the prompt and before the first generated token. It receives the index of the
/// prompt, the output of the probes, and the cache, from which it may evict.
pub type AfterPrefill<'a> =
    &'a mut dyn FnMut(
        usize,
        &ProbeOutput,
        &mut dyn KvCache,
    ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

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
    let mut runs = prefill_all(model, &[prompt], &mut caches, options, after_prefill)?;
    let decode_seconds = decode(model, &mut runs, options, &mut |_, token| on_token(token))?;
    Ok(runs.remove(0).finish(decode_seconds))
}

/// Continues several prompts at once. Each decoding step reads the weights once for all texts.
///
/// Each text equals the one that [`generate`] returns for its prompt. `on_token` also receives the index of
/// the prompt; if it returns false, only that text ends. In each result, `prefill_seconds` is the time of its
/// own prompt, and `decode_seconds` the time of decoding all texts.
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
    after_prefill: Option<(&Probes, AfterPrefill<'_>)>,
    on_token: &mut dyn FnMut(usize, u32) -> bool,
) -> Result<Vec<Generated>> {
    let mut runs = prefill_all(model, prompts, caches, options, after_prefill)?;
    let decode_seconds = decode(model, &mut runs, options, on_token)?;
    Ok(runs.into_iter().map(|run| run.finish(decode_seconds)).collect())
}

/// Runs the prompts one after another and calls the hook after each.
fn prefill_all<'a>(
    model: &Model,
    prompts: &[&[u32]],
    caches: &'a mut [&mut dyn KvCache],
    options: &GenerationOptions,
    mut after_prefill: Option<(&Probes, AfterPrefill<'_>)>,
) -> Result<Vec<TextRun<'a>>> {
    assert_eq!(prompts.len(), caches.len(), "every prompt has a cache");
    let mut runs = Vec::new();
    for (i, (prompt, cache)) in prompts.iter().zip(caches).enumerate() {
        let sampler = Sampler::new(options.sampling, options.repetition_penalty, prompt)?;
        let mut source = LogitSource::new(model, &sampler)?;
        let started = Instant::now();
        let probes = after_prefill.as_ref().map(|(probes, _)| *probes);
        let output = model.run_one(prompt, *cache, probes, HiddenRows::Last)?;
        let logits = next_logits(model, &output.hidden, &mut [(&mut source, &sampler)])?.remove(0);
        let prefill_seconds = started.elapsed().as_secs_f64();
        if let LogitSource::Shortlist { stats, .. } = &mut source {
            stats.error = model.lm_head_error(&output.hidden.flatten_all()?.to_vec1::<f32>()?)?;
        }
        let probed = output.probed;
        if let (Some((_, hook)), Some(probed)) = (&mut after_prefill, probed) {
            hook(i, &probed, *cache).map_err(Error::Hook)?;
        }
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
/// `[texts, hidden]`. All texts have the same model, so either all of them use a shortlist or none does.
fn next_logits(
    model: &Model,
    hidden: &Tensor,
    texts: &mut [(&mut LogitSource, &Sampler)],
) -> Result<Vec<Vec<f32>>> {
    let mut rows = Vec::new();
    for (text, (source, sampler)) in texts.iter_mut().enumerate() {
        let LogitSource::Shortlist { count, stats } = source else {
            return Ok(model.logits(hidden)?.to_vec2()?);
        };
        let hidden: Vec<f32> = hidden.get(text)?.to_vec1()?;
        let ShortlistedLogits { logits, rescored } =
            model.lm_heads().shortlisted(&hidden, *count, &sampler.required_logits().1);
        stats.rescored += rescored;
        rows.push(logits);
    }
    Ok(rows)
}

/// Decodes until every text has ended; returns the seconds that this took.
fn decode(
    model: &Model,
    runs: &mut [TextRun<'_>],
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
        let (mut sequences, mut targets) = (Vec::new(), Vec::new());
        let mut sources = Vec::new();
        for TextRun { cache, tokens, sampler, source, logits: run_logits, .. } in running {
            sequences.push(Sequence { tokens: &tokens[tokens.len() - 1..], cache: *cache });
            sources.push((source, &*sampler));
            targets.push(run_logits);
        }
        let rows = next_logits(model, &model.forward_batch(&mut sequences)?, &mut sources)?;
        targets.into_iter().zip(rows).for_each(|(targets, row)| *targets = row);
    }
}
