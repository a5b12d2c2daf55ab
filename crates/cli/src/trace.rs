//! `bitkv trace`: the steps of a forward pass.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use bitkv_bitnet::{
    Arithmetic, Model, StepNorms,
    reference::{DeviceKind, Reference},
    trace::{Detail, Engine, Trace},
};
use bitkv_checkpoint::Checkpoint;
use bitkv_models::required;
use bitkv_report::Table;
use bitkv_tokenizer::Tokenizer;
use clap::ValueEnum;
use serde_json::json;

use crate::{
    first_tokens::FirstArgument,
    input,
    kv::FloatArgument,
    model,
    model::ModelArguments,
    output,
    target::{ForceArgument, Target},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The text that the model reads.
    #[arg(long, value_name = "TEXT", conflicts_with = "tokens")]
    prompt: Option<String>,
    /// A file with a JSON array of token ids that the model reads.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    #[command(flatten)]
    first: FirstArgument,
    /// The implementation: `fast` computes on packed weights, and `reference` is slower and computes in f32
    /// in plain candle.
    #[arg(long, value_enum, default_value_t = EngineName::Fast)]
    engine: EngineName,
    /// The device of the reference; `cuda` and `metal` need a build with the cargo feature of that name.
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    device: DeviceName,
    /// Numeric format of the KV cache: `f32` does not round, and `f16` is what generation uses.
    #[arg(long, value_enum, default_value_t = FloatArgument::F32)]
    kv: FloatArgument,
    /// Number of the most likely next tokens to show.
    #[arg(long, default_value_t = 5)]
    top: usize,
    /// Also write logits, hidden states, queries, keys, values and entropies to a safetensors file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArgument,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// An implementation of the forward pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum EngineName {
    Fast,
    Reference,
}

/// A device of the reference.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum DeviceName {
    Cpu,
    Cuda,
    Metal,
}

impl EngineName {
    fn engine(self) -> Engine {
        match self {
            EngineName::Fast => Engine::Fast,
            EngineName::Reference => Engine::Reference,
        }
    }
}

impl DeviceName {
    fn kind(self) -> DeviceKind {
        match self {
            DeviceName::Cpu => DeviceKind::Cpu,
            DeviceName::Cuda => DeviceKind::Cuda,
            DeviceName::Metal => DeviceKind::Metal,
        }
    }
}

/// The name and the tokenizer of the model, which the output needs. The weights are loaded for one engine
/// only.
struct ModelInfo {
    name: String,
    tokenizer: Option<Tokenizer>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let out = Target::of("--out", arguments.out.as_deref(), arguments.force)?;
    let source = arguments.model.source()?;
    let checkpoint = model::checkpoint(&source)?;
    source.check_padding(&checkpoint)?;
    // With token ids, a tokenizer only shows the tokens, so one that cannot be used does not matter.
    let tokenizer = match (source.tokenizer(&checkpoint), &arguments.prompt) {
        (Err(_), None) => None,
        (tokenizer, _) => tokenizer?,
    };
    if let Some(tokenizer) = &tokenizer {
        output::notes(tokenizer.notes());
    }
    let model = ModelInfo { name: source.name(), tokenizer };
    let (config, first) = (checkpoint.config(), arguments.first);
    let tokens = match (&arguments.prompt, &arguments.tokens) {
        (Some(text), _) => {
            let tokenizer = required(model.tokenizer.as_ref(), &model.name)?;
            first.encode("--prompt", text, (tokenizer, &model.name, config), "")?
        }
        (None, Some(path)) => {
            let tokens = input::tokens(path, &model.name, config)?;
            first.shorten(&path.display().to_string(), tokens, &model.name, config, "")?
        }
        (None, None) => bail!("there is nothing to trace: give --prompt TEXT or --tokens FILE"),
    };
    let trace = trace(&checkpoint, &tokens, arguments)?;
    let top = trace.top_k(arguments.top);
    let engine = arguments.engine.engine().name();
    if let Some(out) = out {
        let about = [("model", &*model.name), ("engine", engine)];
        trace.write(out.path(), out.existing(), checkpoint.config(), &about)?;
    }
    if arguments.json {
        return output::json(&document(&model, engine, &trace, &top));
    }
    output::tables(&[steps(&model, &trace), next(&model, &top)])
}

fn trace(checkpoint: &Checkpoint, tokens: &[u32], arguments: &Arguments) -> Result<Trace> {
    let detail = if arguments.out.is_some() { Detail::Tensors } else { Detail::Norms };
    let (kv, device) = (arguments.kv.precision(), arguments.device.kind());
    let arithmetic = arguments.model.reading.loading().arithmetic;
    Ok(match arguments.engine.engine() {
        Engine::Fast => {
            ensure!(
                device == DeviceKind::Cpu,
                "the fast path runs on the CPU: add --engine reference to use --device {}",
                device.name()
            );
            let model = Model::load(checkpoint)?.with_arithmetic(arithmetic);
            Trace::from_model(&model, tokens, kv, detail)?
        }
        Engine::Reference => {
            ensure!(
                arithmetic == Arithmetic::F32,
                "the reference computes in f32: leave out --arithmetic, or --engine reference"
            );
            let reference = Reference::load(checkpoint, &device.open()?)?;
            Trace::from_reference(&reference.with_kv_precision(kv), tokens, detail)?
        }
    })
}

fn steps(model: &ModelInfo, trace: &Trace) -> Table {
    let title = format!("{}: norms of every step, {} tokens", model.name, trace.tokens.len());
    let mut table = Table::titled(title, "step|>width|>norm|>norm of last token|>largest value|>not finite");
    table.note(
        "norm: the Euclidean norm of the values of all tokens. largest value: the largest absolute value. not \
         finite: the number of values that are infinite or NaN.",
    );
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

/// Formats a norm. Norms span many orders of magnitude.
fn figures(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value) { format!("{value:.4}") } else { format!("{value:.4e}") }
}

fn next(model: &ModelInfo, top: &[(u32, f32)]) -> Table {
    let mut table = Table::titled("The most likely next tokens", ">token|>logit|text");
    for (id, logit) in top {
        table.push(vec![id.to_string(), format!("{logit:.4}"), shown_text(model, *id).unwrap_or_default()]);
    }
    table
}

/// Returns the text of a token as the table shows it: in quotes, with its spaces. A special token has no
/// text, so its name in the vocabulary is shown. `None` if there is no tokenizer.
fn shown_text(model: &ModelInfo, id: u32) -> Option<String> {
    let text = model.tokenizer.as_ref()?.decode(&[id]).ok().filter(|text| !text.is_empty());
    text.map(|text| format!("{text:?}")).or_else(|| token_text(model, id))
}

/// Returns a token as the vocabulary writes it; `None` if there is no tokenizer.
fn token_text(model: &ModelInfo, id: u32) -> Option<String> {
    model.tokenizer.as_ref()?.token(id)
}

fn document(model: &ModelInfo, engine: &str, trace: &Trace, top: &[(u32, f32)]) -> serde_json::Value {
    let step = |s: &StepNorms| {
        json!({
            "name": s.name(), "layer": s.layer, "step": s.step.name(), "width": s.width, "norm": s.total(),
            "norms": s.norms, "largest": s.largest, "not_finite": s.not_finite,
        })
    };
    json!({
        "model": model.name,
        "engine": engine,
        "tokens": trace.tokens,
        "steps": trace.steps.iter().map(step).collect::<Vec<_>>(),
        "top": top.iter().map(|(id, logit)| json!({"token": id, "logit": logit, "text": token_text(model, *id)}))
            .collect::<Vec<_>>(),
    })
}
