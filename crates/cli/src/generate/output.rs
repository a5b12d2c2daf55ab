//! Prints texts while they are generated, and then the seconds and the memory of the run.

use std::io::Write;

use anyhow::{Context, Error, Result};
use bitkv_bitnet::{Generated, StopReason};
use bitkv_lab::generation::{CacheHistory, DecodeWindow, Session, Turn};
use bitkv_models::LoadedModel;
use bitkv_tokenizer::TextStream;
use serde_json::{Value, json};

use super::Arguments;
use crate::{output, verbosity};

/// What was generated after all prompts.
pub(super) struct Outcome<'a> {
    /// The prompts, as they were given.
    pub(super) prompts: Vec<Vec<u32>>,
    pub(super) turn: Turn,
    pub(super) session: &'a Session<'a>,
}

impl Outcome<'_> {
    fn generated(&self) -> &[Generated] {
        &self.turn.generated
    }
}

/// Prints a single text while it is generated. Several texts, and JSON, are printed at the end.
pub(super) struct TextOutput<'a> {
    loaded: &'a LoadedModel,
    /// Decodes the tokens of a text that is streamed; `None` if the text is printed at the end.
    stream: Option<TextStream<'a>>,
    /// The first error while printing.
    failed: Option<Error>,
}

impl<'a> TextOutput<'a> {
    pub(super) fn new(loaded: &'a LoadedModel, texts: usize, json: bool) -> Result<Self> {
        let streamed = texts == 1 && !json;
        let stream = loaded.tokenizer_if_usable().filter(|_| streamed).map(|t| t.stream());
        // A text of a plain Llama must not be mistaken for a text of the model.
        if !json && loaded.config().plain_llama {
            output::text(&format!("[{}]\n", loaded.name))?;
        }
        Ok(TextOutput { loaded, stream, failed: None })
    }

    /// Prints a new token. Returns false if it cannot be printed, which ends the generation.
    pub(super) fn token(&mut self, _: usize, id: u32) -> bool {
        let Some(stream) = &mut self.stream else { return true };
        let done = stream.push(id).map_err(Error::from).and_then(|piece| print(&piece));
        done.map_err(|e| self.failed = Some(e)).is_ok()
    }

    /// Returns the error that occurred while printing.
    pub(super) fn check(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Prints what was not streamed: the texts or the JSON document, and a summary on standard error.
    pub(super) fn finish(self, arguments: &Arguments, outcome: &Outcome<'_>) -> Result<()> {
        if arguments.json {
            return output::json(&document(self.loaded, arguments, outcome)?);
        }
        match self.stream {
            Some(stream) => print(&(stream.finish()? + "\n"))?,
            None => output::text(&texts(self.loaded, outcome)?)?,
        }
        verbosity::summary(&summary(self.loaded, outcome));
        Ok(())
    }
}

pub(super) fn print(piece: &str) -> Result<()> {
    output::text(piece).and_then(|()| std::io::stdout().flush().context("cannot write to standard output"))
}

/// Returns the finished texts. If there are several, each follows its number.
fn texts(loaded: &LoadedModel, outcome: &Outcome<'_>) -> Result<String> {
    let mut all = String::new();
    for (i, made) in outcome.generated().iter().enumerate() {
        if outcome.generated().len() > 1 {
            all += &format!("{}[{}]\n", if i > 0 { "\n" } else { "" }, i + 1);
        }
        all += &text(loaded, made)?.unwrap_or_else(|| format!("{:?}", made.tokens));
        all += "\n";
    }
    Ok(all)
}

/// Decodes a text; `None` if the model has no tokenizer.
pub(super) fn text(loaded: &LoadedModel, made: &Generated) -> Result<Option<String>> {
    let Some(tokenizer) = loaded.tokenizer_if_usable() else { return Ok(None) };
    Ok(Some(tokenizer.decode(&made.tokens)?))
}

/// Tokens, seconds and bytes of all texts together.
struct Totals {
    prompt_tokens: usize,
    tokens: usize,
    prefill_seconds: f64,
    decode_seconds: f64,
    cache_bytes: usize,
}

impl Totals {
    fn new(outcome: &Outcome<'_>) -> Self {
        Totals {
            prompt_tokens: outcome.prompts.iter().map(Vec::len).sum(),
            tokens: outcome.generated().iter().map(|m| m.tokens.len()).sum(),
            prefill_seconds: outcome.generated().iter().map(|m| m.prefill_seconds).sum(),
            // All texts are decoded in one batch, and each has the seconds of the whole batch.
            decode_seconds: outcome.generated().first().map_or(0.0, |m| m.decode_seconds),
            cache_bytes: outcome.session.caches().iter().map(|c| c.bytes()).sum(),
        }
    }

    fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.decode_seconds.max(1e-9)
    }
}

fn summary(loaded: &LoadedModel, outcome: &Outcome<'_>) -> String {
    let totals = Totals::new(outcome);
    let peak = bitkv_bytes::peak_resident_bytes().map_or(String::new(), |peak| {
        format!(
            ", peak memory {:.0} MB (weights, cache and activations: {:.0} MB)",
            mega(peak),
            mega(needed(loaded, outcome))
        )
    });
    let full = match outcome.generated().iter().any(|made| made.stop == StopReason::ContextFull) {
        true => format!(", stopped at the model's {} positions", loaded.config().max_position_embeddings),
        false => String::new(),
    };
    let kept = outcome.session.histories().map(|history| eviction_note(&history)).collect::<Vec<_>>();
    format!(
        "{}: loaded in {:.2} s, {} prompt tokens in {:.2} s, {} tokens in {:.2} s ({:.1} tokens/s), cache {} bytes{}{peak}{full}",
        loaded.name,
        loaded.load_seconds,
        totals.prompt_tokens,
        totals.prefill_seconds,
        totals.tokens,
        totals.decode_seconds,
        totals.tokens_per_second(),
        totals.cache_bytes,
        kept.concat(),
    )
}

/// Returns what eviction did to the cache of a text, as a part of a sentence; empty if it did nothing.
pub(super) fn eviction_note(history: &CacheHistory) -> String {
    let CacheHistory { kept_entries, evictions, most_bytes } = *history;
    match (kept_entries, evictions) {
        (None, _) | (_, 0) => String::new(),
        (Some(kept), 1) => format!(", evicted once: kept {kept} entries"),
        (Some(kept), _) => format!(
            ", evicted {evictions} times: the last eviction kept {kept} entries, and the cache never had more than \
             {most_bytes} bytes"
        ),
    }
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Returns the bytes that the run needs: the weights in memory, the caches, and the activations of the
/// longest prompt.
fn needed(loaded: &LoadedModel, outcome: &Outcome<'_>) -> u64 {
    let longest = outcome.prompts.iter().map(Vec::len).max().unwrap_or(0);
    let model = &loaded.model;
    (model.weight_bytes() + Totals::new(outcome).cache_bytes + model.activation_bytes(longest)) as u64
}

fn document(loaded: &LoadedModel, arguments: &Arguments, outcome: &Outcome<'_>) -> Result<Value> {
    let totals = Totals::new(outcome);
    let mut document = json!({
        "model": loaded.name,
        "load_seconds": loaded.load_seconds,
        "prefill_seconds": totals.prefill_seconds,
        "decode_seconds": totals.decode_seconds,
        "tokens_per_second": totals.tokens_per_second(),
        "policy": arguments.policy,
        "budget": arguments.budget.to_json(),
        "cache_bytes": totals.cache_bytes,
        "peak_rss_bytes": bitkv_bytes::peak_resident_bytes(),
        "needed_bytes": needed(loaded, outcome),
        "every": arguments.every,
        "prefill_chunk": arguments.prefill_chunk,
        "positions": arguments.positions().to_string(),
        "decode_windows": outcome.turn.windows.iter().map(window).collect::<Vec<_>>(),
    });
    let sequences =
        (0..outcome.generated().len()).map(|i| sequence(loaded, outcome, i)).collect::<Result<Vec<_>>>()?;
    // The keys of a single text are at the top level of the document.
    match (&sequences[..], &mut document) {
        ([Value::Object(only)], Value::Object(all)) => all.extend(only.clone()),
        (_, document) => document["sequences"] = sequences.into(),
    }
    Ok(document)
}

/// Returns the JSON of the text with index `i`.
fn sequence(loaded: &LoadedModel, outcome: &Outcome<'_>, i: usize) -> Result<Value> {
    let (made, cache) = (&outcome.generated()[i], &outcome.session.caches()[i]);
    let history = outcome.session.histories().nth(i).unwrap_or_default();
    Ok(json!({
        "prompt_tokens": outcome.prompts[i],
        "tokens": made.tokens,
        "text": text(loaded, made)?,
        "stop": stop(made.stop),
        "kept_entries": history.kept_entries,
        "evictions": history.evictions,
        "cache_bytes": cache.bytes(),
        "most_cache_bytes": history.most_bytes.max(cache.bytes()),
        "head": head(loaded, made),
    }))
}

/// Returns the JSON of the speed of some consecutive tokens.
fn window(window: &DecodeWindow) -> Value {
    json!({
        "tokens": window.tokens,
        "seconds": window.seconds,
        "tokens_per_second": window.tokens as f64 / window.seconds.max(1e-9),
        "most_cache_bytes": window.most_cache_bytes,
        "peak_rss_bytes": window.peak_rss_bytes,
    })
}

/// Returns the format of the LM head. For `int8` also its largest and its RMS error after the prompt, as
/// fractions of the range of the exact logits, and the number of logits that were computed exactly.
fn head(loaded: &LoadedModel, made: &Generated) -> Value {
    let precision = loaded.model.lm_head_precision().name();
    match made.lm_head {
        None => json!({"precision": precision}),
        Some(used) => json!({
            "precision": precision,
            "max_error": used.error.max,
            "rms_error": used.error.rms,
            "rescored_rows": used.rescored,
        }),
    }
}

pub(super) fn stop(stop: StopReason) -> &'static str {
    match stop {
        StopReason::Token(_) => "stop token",
        StopReason::MaxTokens => "max tokens",
        StopReason::ContextFull => "context full",
        StopReason::Caller => "interrupted",
    }
}
