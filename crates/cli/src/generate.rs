use std::{io::Write, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use bitkv_bitnet::{
    Generated, GenerationOptions, KvCache, Observe, Observed, Sampling, Stop, TextStream, generate,
};
use bitkv_evict::{Budget, Policy};
use bitkv_lab::{Subject, context};
use serde_json::json;

use crate::{input, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A built-in name or a folder.
    #[arg(long)]
    model: String,
    /// The prompt.
    #[arg(long, conflicts_with = "tokens")]
    prompt: Option<String>,
    /// A JSON array of token ids as the prompt.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Most tokens to generate.
    #[arg(long, default_value_t = 128)]
    max_tokens: usize,
    /// Always the most likely token.
    #[arg(long, conflicts_with_all = ["temperature", "top_p"])]
    greedy: bool,
    /// Logits are divided by it.
    #[arg(long, default_value_t = 0.8, allow_negative_numbers = true)]
    temperature: f32,
    /// Only the most likely tokens that together reach this probability.
    #[arg(long, default_value_t = 0.95, allow_negative_numbers = true)]
    top_p: f32,
    /// Start of the random numbers.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Evict from the cache after the prompt; see `bitkv list`.
    #[arg(long, requires = "budget")]
    policy: Option<String>,
    /// Part of the prompt's cache kept, above 0 and at most 1.
    #[arg(long, requires = "policy", allow_negative_numbers = true)]
    budget: Option<f64>,
    /// A profile for policies that need entropies; measured when it is not given.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// One JSON document on standard output, no streaming.
    #[arg(long)]
    json: bool,
}

/// A policy at a budget, with what it needs to plan.
struct Eviction {
    policy: Policy,
    budget: Budget,
    entropy: Vec<f64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let plan = arguments.policy.as_deref().zip(arguments.budget);
    let plan = plan.map(|(policy, budget)| checked(policy, budget)).transpose()?;
    let subject = Subject::open(&arguments.model)?;
    let prompt = prompt(arguments, &subject)?;
    let eviction = match plan {
        Some((policy, budget)) => {
            let entropy = input::entropies(&subject, &policy, arguments.profile.as_deref())?;
            Some(Eviction { policy, budget, entropy })
        }
        None => None,
    };
    let mut cache = subject.model.new_cache();
    let (made, kept) = stream(arguments, &subject, &prompt, eviction.as_ref(), &mut cache)?;
    let text = match &subject.tokenizer {
        Some(tokenizer) => Some(tokenizer.decode(&made.tokens)?),
        None => None,
    };
    if arguments.json {
        return output::json(&json!({
            "prompt_tokens": prompt,
            "tokens": made.tokens,
            "text": text,
            "stop": stop(made.stop),
            "prefill_seconds": made.prefill_seconds,
            "decode_seconds": made.decode_seconds,
            "policy": arguments.policy,
            "budget": arguments.budget,
            "kept_tokens": kept,
            "cache_bytes": cache.bytes(),
        }));
    }
    if text.is_none() {
        output::text(&format!("{:?}", made.tokens))?;
    }
    output::text("\n")?;
    eprintln!(
        "{} prompt tokens in {:.2} s, {} tokens in {:.2} s ({:.1} tokens/s), cache {} bytes",
        prompt.len(),
        made.prefill_seconds,
        made.tokens.len(),
        made.decode_seconds,
        made.tokens.len() as f64 / made.decode_seconds.max(1e-9),
        cache.bytes()
    );
    Ok(())
}

/// Refuses before a model is loaded what can be refused before.
fn checked(policy: &str, budget: f64) -> Result<(Policy, Budget)> {
    let (policy, budget) = (Policy::parse(policy)?, Budget::fraction(budget)?);
    ensure!(
        !policy.needs().future,
        "{} looks at the attention of tokens that are not generated yet: use another policy",
        policy.spec()
    );
    Ok((policy, budget))
}

fn prompt(arguments: &Arguments, subject: &Subject) -> Result<Vec<u32>> {
    match (&arguments.prompt, &arguments.tokens) {
        (Some(text), _) => Ok(subject.tokenizer()?.encode(text, true)?),
        (None, Some(path)) => input::tokens(path, subject),
        (None, None) => bail!("there is no prompt: give --prompt TEXT or --tokens FILE"),
    }
}

/// Generates, printing text as it comes; also returns how many entries an eviction kept.
fn stream(
    arguments: &Arguments,
    subject: &Subject,
    prompt: &[u32],
    eviction: Option<&Eviction>,
    cache: &mut dyn KvCache,
) -> Result<(Generated, Option<usize>)> {
    let sampling = if arguments.greedy {
        Sampling::Greedy
    } else {
        Sampling::Random {
            temperature: arguments.temperature,
            top_k: 0,
            top_p: arguments.top_p,
            seed: arguments.seed,
        }
    };
    let stop = subject.config().eos_token_ids.clone();
    let options =
        GenerationOptions { max_tokens: arguments.max_tokens, stop, sampling, repetition_penalty: 1.0 };
    let mut text: Option<TextStream<'_>> =
        if arguments.json { None } else { subject.tokenizer.as_ref().map(|t| t.stream()) };
    let mut failed = None;
    let mut show = |id| match text.as_mut().map(|text| text.push(id)) {
        Some(Ok(piece)) => print(&piece).map_err(|e| failed = Some(e)).is_ok(),
        Some(Err(error)) => {
            failed = Some(error.into());
            false
        }
        None => true,
    };
    let needs = eviction.map(|e| e.policy.needs()).unwrap_or_default();
    let observe = context::observe(&needs);
    let mut kept = None;
    let mut evict = |observed: &Observed, cache: &mut dyn KvCache| {
        let Some(Eviction { policy, budget, entropy }) = eviction else { return Ok(()) };
        let seen = context::observation(subject, prompt.len(), observed, &[], entropy);
        let plan = policy.plan(&seen, *budget)?;
        kept = Some(plan.total());
        Ok(cache.keep(&|layer, head| plan.kept(layer, head).to_vec())?)
    };
    let hook: Option<(&Observe, bitkv_bitnet::AfterPrefill<'_>)> =
        if eviction.is_some() { Some((&observe, &mut evict)) } else { None };
    let made = generate(&subject.model, prompt, cache, &options, hook, &mut show);
    if let Some(error) = failed {
        return Err(error);
    }
    let made = made?;
    if let Some(text) = text {
        print(&text.finish()?)?;
    }
    Ok((made, kept))
}

fn print(piece: &str) -> Result<()> {
    output::text(piece).and_then(|()| std::io::stdout().flush().context("cannot write to standard output"))
}

fn stop(stop: Stop) -> &'static str {
    match stop {
        Stop::Token(_) => "stop token",
        Stop::MaxTokens => "max tokens",
        Stop::ContextFull => "context full",
        Stop::Caller => "interrupted",
    }
}
