use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bitkv_bitnet::{Observe, Observed, Step, StepNorms};
use bitkv_checkpoint::write_f32_tensors;
use bitkv_models::LoadedModel;
use bitkv_report::Table;
use serde_json::json;

use crate::{input, kv::Precise, model::ModelArguments, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The text to run.
    #[arg(long, value_name = "TEXT", conflicts_with = "tokens")]
    prompt: Option<String>,
    /// A JSON array of token ids to run.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Numbers that the cache holds: f32 rounds nothing, as references do; models generate with f16.
    #[arg(long, value_enum, default_value_t = Precise::F32)]
    kv: Precise,
    /// How many of the most likely next tokens are shown.
    #[arg(long, default_value_t = 5)]
    top: usize,
    /// Also write logits, hidden states, queries, keys, values and entropies to a safetensors file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// A forward pass and everything seen in it.
struct Trace {
    tokens: Vec<u32>,
    observed: Observed,
    /// `[tokens * vocab]`.
    logits: Vec<f32>,
    steps: Vec<StepNorms>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let subject = arguments.model.open()?;
    let tokens = match (&arguments.prompt, &arguments.tokens) {
        (Some(text), _) => subject.tokenizer()?.encode(text, true)?,
        (None, Some(path)) => input::tokens(path, &subject)?,
        (None, None) => bail!("there is nothing to trace: give --prompt TEXT or --tokens FILE"),
    };
    let trace = trace(&subject, tokens, arguments)?;
    let top = top(&trace, arguments.top);
    if let Some(path) = &arguments.out {
        write(path, &subject, &trace)?;
    }
    if arguments.json {
        return output::json(&document(&subject, &trace, &top));
    }
    let tables = [steps(&subject, &trace), next(&subject, &top)].map(|table| table.to_terminal());
    output::text(&tables.join("\n\n"))
}

fn trace(subject: &LoadedModel, tokens: Vec<u32>, arguments: &Arguments) -> Result<Trace> {
    let saved = arguments.out.is_some();
    let observe = Observe { steps: true, hidden: saved, qkv: saved, entropy: saved, ..Observe::default() };
    let mut cache = subject.model.new_cache_of(arguments.kv.precision());
    let output = subject.model.forward(&tokens, &mut cache, Some(&observe))?;
    let logits: Vec<f32> = subject.model.logits(&output.hidden)?.flatten_all()?.to_vec1()?;
    let mut observed = output.observed.unwrap_or_default();
    let mut steps = std::mem::take(&mut observed.steps);
    steps.push(StepNorms::of(Step::Logits, None, &logits, tokens.len()));
    Ok(Trace { tokens, observed, logits, steps })
}

/// The most likely next tokens with their logits.
fn top(trace: &Trace, count: usize) -> Vec<(u32, f32)> {
    let vocabulary = trace.logits.len() / trace.tokens.len();
    let last = &trace.logits[trace.logits.len() - vocabulary..];
    let mut ranked: Vec<(u32, f32)> =
        last.iter().enumerate().map(|(id, logit)| (id as u32, *logit)).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(count);
    ranked
}

fn steps(subject: &LoadedModel, trace: &Trace) -> Table {
    let title = format!("{}: norms of every step, {} tokens", subject.name, trace.tokens.len());
    let mut table = Table::titled(title, "step|>width|>norm|>last token|>largest|>not finite");
    for step in &trace.steps {
        let last = step.norms.last().copied().unwrap_or_default();
        table.push(vec![
            step.name(),
            step.width.to_string(),
            figures(step.total()),
            figures(last),
            figures(f64::from(step.largest)),
            step.not_finite.to_string(),
        ]);
    }
    table
}

/// Norms span many orders of magnitude.
fn figures(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value) { format!("{value:.4}") } else { format!("{value:.4e}") }
}

fn next(subject: &LoadedModel, top: &[(u32, f32)]) -> Table {
    let mut table = Table::titled("The most likely next tokens", ">token|>logit|text");
    for (id, logit) in top {
        table.push(vec![id.to_string(), format!("{logit:.4}"), shown(subject, *id).unwrap_or_default()]);
    }
    table
}

/// A token as the vocabulary writes it.
fn shown(subject: &LoadedModel, id: u32) -> Option<String> {
    subject.tokenizer.as_ref()?.token(id)
}

fn document(subject: &LoadedModel, trace: &Trace, top: &[(u32, f32)]) -> serde_json::Value {
    let step = |s: &StepNorms| {
        json!({
            "name": s.name(), "layer": s.layer, "step": s.step.name(), "width": s.width, "norm": s.total(),
            "norms": s.norms, "largest": s.largest, "not_finite": s.not_finite,
        })
    };
    json!({
        "model": subject.name,
        "tokens": trace.tokens,
        "steps": trace.steps.iter().map(step).collect::<Vec<_>>(),
        "top": top.iter().map(|(id, logit)| json!({"token": id, "logit": logit, "text": shown(subject, *id)}))
            .collect::<Vec<_>>(),
    })
}

/// `logits [tokens, vocab]`, `hidden.{i} [tokens, hidden]` (0 is the embedding), `q.{i} [query_heads, tokens, head_dim]`,
/// `k.{i}` and `v.{i} [kv_heads, tokens, head_dim]` after RoPE, `entropy [layers, query_heads, tokens]` in bits.
fn write(path: &Path, subject: &LoadedModel, trace: &Trace) -> Result<()> {
    let (config, count) = (subject.config(), trace.tokens.len());
    let observed = &trace.observed;
    let entropy: Vec<f32> = observed.entropy.iter().flatten().flatten().copied().collect();
    let mut tensors = vec![
        ("logits".to_string(), vec![count, config.vocab_size], trace.logits.clone()),
        ("entropy".to_string(), vec![config.num_hidden_layers, config.num_attention_heads, count], entropy),
    ];
    for (i, hidden) in observed.hidden.iter().enumerate() {
        tensors.push((format!("hidden.{i}"), vec![count, config.hidden_size], hidden.clone()));
    }
    let of_heads = [
        ("q", &observed.queries, config.num_attention_heads),
        ("k", &observed.new_keys, config.num_key_value_heads),
        ("v", &observed.new_values, config.num_key_value_heads),
    ];
    for (name, layers, heads) in of_heads {
        for (i, values) in layers.iter().enumerate() {
            let shape = vec![heads, count, config.head_dim];
            tensors.push((format!("{name}.{i}"), shape, heads_first(values, heads, config.head_dim)));
        }
    }
    let borrowed: Vec<_> = tensors.iter().map(|(n, s, v)| (n.clone(), s.clone(), v.as_slice())).collect();
    Ok(write_f32_tensors(path, &[("model", &subject.name)], &borrowed)?)
}

/// `[tokens, heads, width]` to `[heads, tokens, width]`.
fn heads_first(values: &[f32], heads: usize, width: usize) -> Vec<f32> {
    let rows =
        |head: usize| values.chunks_exact(heads * width).flat_map(move |row| &row[head * width..][..width]);
    (0..heads).flat_map(rows).copied().collect()
}
