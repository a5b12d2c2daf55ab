//! `bitkv inspect`: what a checkpoint contains.

use std::collections::BTreeMap;

use anyhow::Result;
use bitkv_checkpoint::{
    Biases, Checkpoint, Contents, IgnoredSetting, LinearWeights, ListedTensor, RopeScaling, ScaleRule,
    WeightFormat, codec::i2s::Layout, gguf,
};
use bitkv_models::Source;
use bitkv_record::one_line;
use bitkv_report::Table;
use serde_json::{Value, json};

use crate::{model, model::ReadingArguments, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The checkpoint: a built-in name, a folder, a .gguf file, or organisation/name on the hub.
    model: String,
    /// Leave out the list of tensors.
    #[arg(long)]
    summary: bool,
    #[command(flatten)]
    reading: ReadingArguments,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let source = arguments.reading.source(&arguments.model)?;
    let checkpoint = model::checkpoint(&source)?;
    let Contents { tensors: held, unreadable } = checkpoint.contents(!arguments.summary)?;
    let refusal = source.check(&checkpoint).err().map(|refusal| refusal.to_string());
    if arguments.json {
        let mut document = document(&source, &checkpoint, &held);
        document["unread"] = unreadable.into();
        document["cannot_be_run"] = refusal.into();
        document["notes"] = checkpoint.notes().into();
        document["ignored"] = ignored(&checkpoint);
        if !arguments.summary {
            document["tensors"] = held.iter().map(tensor).collect();
        }
        return output::json(&document);
    }
    let mut tables = vec![configuration(&source, &checkpoint)];
    tables.extend(checkpoint.gguf().map(metadata));
    tables.extend(ignored_table(&checkpoint));
    tables.push(memory(&held));
    if !arguments.summary {
        tables.push(tensors(&held));
    }
    output::tables(&tables)?;
    let unread = unreadable.iter().map(|reason| format!("unread: {}\n", one_line(reason)));
    let refusal = refusal.map(|refusal| format!("cannot be run: {}\n", one_line(&refusal)));
    output::text(&unread.chain(refusal).collect::<String>())
}

fn configuration(source: &Source, checkpoint: &Checkpoint) -> Table {
    let c = checkpoint.config();
    let mut table = Table::titled(source.name(), "property|value");
    let heads = format!("{} / {} / {}", c.num_attention_heads, c.num_key_value_heads, c.head_dim);
    let rope = match &c.rope_scaling {
        RopeScaling::Unscaled => c.rope_theta.to_string(),
        scaling => format!("{}, scaled as {}", c.rope_theta, scaling.name()),
    };
    let pairs: [(&str, String); 15] = [
        ("file", if source.is_built_in() { "built in".into() } else { checkpoint.file() }),
        ("architecture", c.architecture.name().into()),
        ("weights", weights(c.weights).into()),
        ("vocabulary", c.vocab_size.to_string()),
        ("hidden size", c.hidden_size.to_string()),
        ("intermediate size", c.intermediate_size.to_string()),
        ("layers", c.num_hidden_layers.to_string()),
        ("query heads / KV heads / width", heads),
        ("activation", c.hidden_act.name().into()),
        ("positions", c.max_position_embeddings.to_string()),
        ("RMS norm epsilon", format!("{:e}", c.rms_norm_eps)),
        ("RoPE base", rope),
        ("biases", biases(c.biases)),
        (
            "LM head",
            if checkpoint.is_tied() { "tied to the embedding" } else { "a tensor of its own" }.into(),
        ),
        ("begin / end tokens", format!("{} / {}", ids(c.bos_token_id), ids(c.eos_token_ids.iter().copied()))),
    ];
    pairs.into_iter().for_each(|(name, value)| table.push(vec![name.into(), value]));
    if let Some(files) = checkpoint.gguf().map(|gguf| gguf.files()).filter(|files| files.len() > 1) {
        table.push(vec!["parts".into(), files.join(", ")]);
    }
    if let Some(choice) = checkpoint.gguf().and_then(|gguf| gguf.i2s_layout()) {
        let text = format!("{}, {}", choice.layout.name(), reason(choice.reason));
        table.push(vec!["I2_S layout".into(), text]);
    }
    table
}

/// Describes how the weights are stored.
fn weights(format: WeightFormat) -> &'static str {
    match format {
        WeightFormat::Masters => "full precision, made ternary when read",
        WeightFormat::TernaryFloats => "full precision, ternary already",
        WeightFormat::Floats => "full precision",
        WeightFormat::Packed(ScaleRule::Multiply) => "packed, multiplied by weight_scale",
        WeightFormat::Packed(ScaleRule::Divide) => "packed, divided by weight_scale",
    }
}

/// Names the linear layers that have a bias.
fn biases(biases: Biases) -> String {
    let Biases { qkv, output, mlp } = biases;
    let parts = [(qkv, "q, k, v"), (output, "o"), (mlp, "MLP")];
    let names: Vec<&str> = parts.into_iter().filter_map(|(has, name)| has.then_some(name)).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// Formats token ids, separated by commas. A model without such tokens shows `none`.
fn ids(ids: impl IntoIterator<Item = u32>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    if ids.is_empty() { "none".into() } else { ids.join(", ") }
}

/// Returns the name of the reason why a layout was chosen.
fn reason(reason: gguf::LayoutReason) -> &'static str {
    match reason {
        gguf::LayoutReason::Given => "given",
        gguf::LayoutReason::Plausible => "plausible",
        gguf::LayoutReason::Default => "default",
    }
}

fn metadata(gguf: &gguf::Gguf) -> Table {
    let mut table = Table::titled("GGUF metadata", "key|type|value");
    for entry in gguf.metadata() {
        table.push(vec![entry.key.clone(), entry.kind.name().into(), entry.value.to_string()]);
    }
    table
}

/// Returns the settings and the tensors that have no effect, as a table; `None` if everything has one.
fn ignored_table(checkpoint: &Checkpoint) -> Option<Table> {
    let setting = |s: &IgnoredSetting| vec![s.key.clone(), s.value.clone()];
    let settings = checkpoint.ignored_settings().iter().map(setting);
    let tensors = checkpoint.ignored_tensors().into_iter().map(|name| vec![name, "a tensor".into()]);
    let rows: Vec<_> = settings.chain(tensors).collect();
    let mut table = Table::titled("Ignored", "setting or tensor|value");
    let any = !rows.is_empty();
    rows.into_iter().for_each(|row| table.push(row));
    any.then_some(table)
}

/// Returns the settings and the tensors that have no effect, as JSON.
fn ignored(checkpoint: &Checkpoint) -> Value {
    let setting = |s: &IgnoredSetting| json!({"key": s.key, "value": s.value});
    let settings: Vec<Value> = checkpoint.ignored_settings().iter().map(setting).collect();
    json!({"settings": settings, "tensors": checkpoint.ignored_tensors()})
}

/// Returns a table of the bytes in the files by tensor type.
fn memory(held: &[ListedTensor]) -> Table {
    let mut kinds: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for row in held {
        let (count, bytes) = kinds.entry(row.stored.coding.name()).or_default();
        *count += 1;
        *bytes += row.stored.bytes.len() as u64;
    }
    let total: u64 = kinds.values().map(|(_, bytes)| bytes).sum();
    let mut table = Table::titled("Memory by type", "type|>tensors|>bytes|>share");
    let share = |bytes: u64| format!("{:.1} %", 100.0 * bytes as f64 / total.max(1) as f64);
    for (kind, (count, bytes)) in &kinds {
        table.push(vec![(*kind).into(), count.to_string(), bytes.to_string(), share(*bytes)]);
    }
    table.push(vec!["all".into(), held.len().to_string(), total.to_string(), share(total)]);
    table
}

fn tensors(held: &[ListedTensor]) -> Table {
    let mut table = Table::titled("Tensors", "tensor|type|shape|>bytes|>-1|>0|>+1|>invalid|>scale");
    for ListedTensor { stored, linear } in held {
        let mut cells = vec![
            stored.name.clone(),
            stored.coding.name().into(),
            format!("{:?}", stored.shape),
            stored.bytes.len().to_string(),
        ];
        match linear {
            None => cells.extend(std::iter::repeat_n(String::new(), 5)),
            Some((linear, counts)) => {
                let all = counts.iter().sum::<u64>() as f64;
                cells.extend(counts[..3].iter().map(|count| format!("{:.2} %", 100.0 * *count as f64 / all)));
                cells.push(counts[3].to_string());
                cells.push(linear.multiplier().to_string());
            }
        }
        table.push(cells);
    }
    table
}

fn tensor(ListedTensor { stored, linear }: &ListedTensor) -> Value {
    let mut value = json!({
        "name": stored.name, "type": stored.coding.name(), "shape": stored.shape, "bytes": stored.bytes.len(),
        "file": stored.file,
    });
    if let Some((linear, [minus, zero, plus, invalid])) = linear {
        value["rows"] = linear.shape().rows.into();
        value["columns"] = linear.shape().cols.into();
        value["scale"] = linear.multiplier().into();
        value["masters"] = matches!(linear.weights(), LinearWeights::Masters(_)).into();
        value["codes"] = json!({"minus": minus, "zero": zero, "plus": plus, "invalid": invalid});
    }
    value
}

/// Returns the JSON document without the list of tensors.
fn document(source: &Source, checkpoint: &Checkpoint, held: &[ListedTensor]) -> Value {
    let mut document = json!({
        "model": source.name(),
        "config": serde_json::from_str::<Value>(&checkpoint.config().to_json()).unwrap_or_default(),
        "tied": checkpoint.is_tied(),
        "tensor_bytes": checkpoint.tensor_bytes(),
        "ternary_bytes": held.iter().filter(|r| r.stored.coding.is_ternary())
            .map(|r| r.stored.bytes.len()).sum::<usize>(),
    });
    if let Some(gguf) = checkpoint.gguf() {
        let entry = |e: &gguf::MetadataEntry| json!({"key": e.key, "type": e.kind.name(), "value": e.value.to_string()});
        document["metadata"] = gguf.metadata().iter().map(entry).collect();
        if let Some(choice) = gguf.i2s_layout() {
            let score = |(layout, s): &(Layout, f64)| json!({"layout": layout.name(), "score": s});
            let scores: Vec<Value> = choice.scores.iter().map(score).collect();
            document["i2s_layout"] = json!({
                "layout": choice.layout.name(), "reason": reason(choice.reason), "scores": scores,
            });
        }
    }
    document
}
