//! Prints texts while they are generated, and then the seconds and the memory of the run.

use std::io::Write;

use anyhow::{Context, Error, Result};
use bitkv_bitnet::{Generated, Stop};
use bitkv_lab::generation::Outcome;
use bitkv_models::LoadedModel;
use bitkv_tokenizer::TextStream;
use serde_json::{Value, json};

use super::Arguments;
use crate::output;

/// Shows one text while it is made; several are shown when all are done.
pub(super) struct Shown<'a> {
    loaded: &'a LoadedModel,
    /// Decodes the tokens of a text that is streamed; `None` if the text is printed at the end.
    stream: Option<TextStream<'a>>,
    /// The first error while printing.
    failed: Option<Error>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(loaded: &'a LoadedModel, prompts: &[Vec<u32>], json: bool) -> Self {
        let live = prompts.len() == 1 && !json;
        let stream = loaded.tokenizer.as_ref().filter(|_| live).map(|t| t.stream());
        // No text of a skeleton may be taken for the model's.
        let marked = !json && loaded.config().plain_llama;
        let failed = if marked { output::text(&format!("[{}]\n", loaded.name)).err() } else { None };
        Shown { loaded, stream, failed }
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

    pub(super) fn finish(self, arguments: &Arguments, outcome: &Outcome) -> Result<()> {
        if arguments.json {
            return output::json(&document(self.loaded, arguments, outcome)?);
        }
        match self.stream {
            Some(stream) => print(&(stream.finish()? + "\n"))?,
            None => output::text(&texts(self.loaded, outcome)?)?,
        }
        eprintln!("{}", summary(self.loaded, outcome));
        Ok(())
    }
}

fn print(piece: &str) -> Result<()> {
    output::text(piece).and_then(|()| std::io::stdout().flush().context("cannot write to standard output"))
}

/// Finished texts, each under its number if there are several.
fn texts(loaded: &LoadedModel, outcome: &Outcome) -> Result<String> {
    let mut all = String::new();
    for (i, made) in outcome.made.iter().enumerate() {
        if outcome.made.len() > 1 {
            all += &format!("{}[{}]\n", if i > 0 { "\n" } else { "" }, i + 1);
        }
        all += &text(loaded, made)?.unwrap_or_else(|| format!("{:?}", made.tokens));
        all += "\n";
    }
    Ok(all)
}

/// Decodes a text; `None` if the model has no tokenizer.
fn text(loaded: &LoadedModel, made: &Generated) -> Result<Option<String>> {
    let Some(tokenizer) = &loaded.tokenizer else { return Ok(None) };
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
    fn of(outcome: &Outcome) -> Self {
        Totals {
            prompt_tokens: outcome.prompts.iter().map(Vec::len).sum(),
            tokens: outcome.made.iter().map(|m| m.tokens.len()).sum(),
            prefill_seconds: outcome.made.iter().map(|m| m.prefill_seconds).sum(),
            // Each has the seconds of decoding all.
            decode_seconds: outcome.made.first().map_or(0.0, |m| m.decode_seconds),
            cache_bytes: outcome.caches.iter().map(|c| c.bytes()).sum(),
        }
    }

    fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.decode_seconds.max(1e-9)
    }
}

fn summary(loaded: &LoadedModel, outcome: &Outcome) -> String {
    let totals = Totals::of(outcome);
    let peak = bitkv_bytes::peak_resident_bytes().map_or(String::new(), |peak| {
        format!(", {:.0} MB resident at most ({:.0} MB needed)", mega(peak), mega(needed(loaded, outcome)))
    });
    format!(
        "{}: loaded in {:.2} s, {} prompt tokens in {:.2} s, {} tokens in {:.2} s ({:.1} tokens/s), cache {} bytes{peak}",
        loaded.name,
        loaded.load_seconds,
        totals.prompt_tokens,
        totals.prefill_seconds,
        totals.tokens,
        totals.decode_seconds,
        totals.tokens_per_second(),
        totals.cache_bytes,
    )
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Bytes of weights as held, cache, and activations of the longest prompt.
fn needed(loaded: &LoadedModel, outcome: &Outcome) -> u64 {
    let longest = outcome.prompts.iter().map(Vec::len).max().unwrap_or(0);
    let model = &loaded.model;
    (model.weight_bytes() + Totals::of(outcome).cache_bytes + model.activation_bytes(longest)) as u64
}

fn document(loaded: &LoadedModel, arguments: &Arguments, outcome: &Outcome) -> Result<Value> {
    let totals = Totals::of(outcome);
    let mut document = json!({
        "model": loaded.name,
        "load_seconds": loaded.load_seconds,
        "prefill_seconds": totals.prefill_seconds,
        "decode_seconds": totals.decode_seconds,
        "tokens_per_second": totals.tokens_per_second(),
        "policy": arguments.policy,
        "budget": arguments.budget.written(),
        "cache_bytes": totals.cache_bytes,
        "peak_rss_bytes": bitkv_bytes::peak_resident_bytes(),
        "needed_bytes": needed(loaded, outcome),
    });
    let sequences =
        (0..outcome.made.len()).map(|i| sequence(loaded, outcome, i)).collect::<Result<Vec<_>>>()?;
    // The keys of a single text stand at the top.
    match (&sequences[..], &mut document) {
        ([Value::Object(only)], Value::Object(all)) => all.extend(only.clone()),
        (_, document) => document["sequences"] = sequences.into(),
    }
    Ok(document)
}

fn sequence(loaded: &LoadedModel, outcome: &Outcome, i: usize) -> Result<Value> {
    let made = &outcome.made[i];
    Ok(json!({
        "prompt_tokens": outcome.prompts[i],
        "tokens": made.tokens,
        "text": text(loaded, made)?,
        "stop": stop(made.stop),
        "kept_tokens": outcome.kept[i],
        "cache_bytes": outcome.caches[i].bytes(),
        "head": head(loaded, made),
    }))
}

/// Returns the format of the LM head. For `int8` also its largest and its RMS error after the prompt, as
/// fractions of the range of the exact logits, and the number of logits that were computed exactly.
fn head(loaded: &LoadedModel, made: &Generated) -> Value {
    let precision = loaded.model.lm_head().name();
    match made.head {
        None => json!({"precision": precision}),
        Some(used) => json!({
            "precision": precision,
            "max_error": used.error.max,
            "rms_error": used.error.rms,
            "rescored_rows": used.rescored,
        }),
    }
}

fn stop(stop: Stop) -> &'static str {
    match stop {
        Stop::Token(_) => "stop token",
        Stop::MaxTokens => "max tokens",
        Stop::ContextFull => "context full",
        Stop::Caller => "interrupted",
    }
}
