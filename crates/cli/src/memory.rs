//! `bitkv memory`: the memory of weights, KV cache and activations.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use bitkv_lab::memory::computed_row;
use bitkv_models::{Shape, published_models, published_shape};
use bitkv_record::{Accounting, MemoryRow};
use bitkv_report::memory::tables;
use serde_json::json;

use crate::{model, model::ReadingArguments, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Any model, or bitnet_b1_58-large or BitNet-b1.58-2B-4T, which need no weights.
    #[arg(long)]
    model: String,
    #[command(flatten)]
    reading: ReadingArguments,
    /// Context lengths in tokens, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "512,1024,2048,4096")]
    context: Vec<usize>,
    /// How bytes are counted: `published` counts every parameter at 1.58 bits, and `actual` counts what a
    /// runtime stores.
    #[arg(long, default_value = "actual")]
    accounting: String,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let accounting = match arguments.accounting.as_str() {
        "published" => Accounting::Published,
        "actual" => Accounting::Actual,
        other => bail!("--accounting {other} is not known: use published or actual"),
    };
    let shape = shape(arguments)?;
    let rows: Vec<MemoryRow> = arguments
        .context
        .iter()
        .map(|&context| Ok(computed_row(&shape, accounting, context)?))
        .collect::<Result<_>>()?;
    if !arguments.json {
        return output::tables(&tables(&rows));
    }
    let row = |r: &MemoryRow| {
        json!({
            "context": r.context,
            "weight_bytes": r.weight_bytes,
            "kv_bytes": r.kv_bytes,
            "activation_bytes": r.activation_bytes,
            "total_bytes": r.total_bytes,
            "kv_fraction": r.kv_fraction,
        })
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    output::json(&json!({"model": shape.name, "accounting": arguments.accounting, "rows": rows}))
}

/// Returns the shape of a model. For a published model the known configuration is used, unless a folder or a
/// file has that name.
fn shape(arguments: &Arguments) -> Result<Shape> {
    let model = arguments.model.as_str();
    if let Some(known) = published_shape(model)? {
        return arguments.reading.shape(known);
    }
    let known: Vec<String> = published_models()?.into_iter().map(|shape| shape.name).collect();
    let with_known_names = |error: anyhow::Error| match Path::new(model).exists() {
        true => error,
        false => anyhow!("{error}, or {}, whose configurations are known", known.join(" or ")),
    };
    let source = arguments.reading.source(model).map_err(with_known_names)?;
    Ok(Shape::new(&model::loaded(&source)?))
}
