//! `bitkv memory`: the memory of weights, KV cache and activations.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use bitkv_bitnet::Quantisation;
use bitkv_lab::memory::{KeptCache, computed_row_of, longest_context};
use bitkv_models::{LoadedModel, Shape, published_models, published_shape};
use bitkv_record::{Accounting, MemoryRow};
use bitkv_report::memory::tables;
use clap::ValueEnum as _;
use serde_json::json;

use crate::{
    budget,
    budget::{Bytes, bytes},
    kv::KvArgument,
    model,
    model::ReadingArguments,
    output,
};

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
    /// Format of the cache.
    #[arg(long, value_enum, default_value = "f16")]
    kv: KvArgument,
    /// Fraction of the cache that is kept, above 0 and at most 1.
    #[arg(long, value_name = "FRACTION", default_value_t = 1.0)]
    budget: f64,
    /// Also say how long a context fits into this memory, such as 2GiB or 1.5 GB.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    fit: Option<Bytes>,
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
    if let Some(Bytes(0)) = arguments.fit {
        bail!("--fit 0 holds nothing: give a number of bytes, such as 2GiB");
    }
    let kept = KeptCache {
        budget: budget::fraction(arguments.budget)?,
        precision: arguments.kv.precision(),
        quantisation: arguments.kv.quantisation().unwrap_or(Quantisation::None),
    };
    let shape = model_shape(&arguments.model, &arguments.reading)?;
    let rows: Vec<MemoryRow> = arguments
        .context
        .iter()
        .map(|&context| Ok(computed_row_of(&shape, accounting, context, &kept)?))
        .collect::<Result<_>>()?;
    let fit = match arguments.fit {
        Some(Bytes(bytes)) => Some(Fit::new(bytes as u64, &shape, accounting, &kept)?),
        None => None,
    };
    if !arguments.json {
        let mut tables = tables(&rows);
        if let Some(last) = tables.last_mut() {
            notes(&shape, &kept, fit.as_ref()).into_iter().for_each(|note| last.note(note));
        }
        return output::tables(&tables);
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
    let mut document = json!({
        "model": shape.name,
        "accounting": arguments.accounting,
        "kv": arguments.kv.to_possible_value().map(|value| value.get_name().to_owned()),
        "budget": arguments.budget,
        "rows": rows,
    });
    if let Some(Fit { bytes, reading, after }) = fit {
        document["fit"] = json!({"bytes": bytes, "context": reading, "context_after_prompt": after});
    }
    output::json(&document)
}

/// How long a context fits into a memory.
struct Fit {
    bytes: u64,
    /// The longest context in tokens while the prompt is read, when the cache is whole; `None` if not even
    /// one token fits.
    reading: Option<usize>,
    /// The longest context after the cache was compressed.
    after: Option<usize>,
}

impl Fit {
    fn new(bytes: u64, shape: &Shape, accounting: Accounting, kept: &KeptCache) -> Result<Fit> {
        let reading = longest_context(shape, accounting, &kept.while_reading(), bytes)?;
        Ok(Fit { bytes, reading, after: longest_context(shape, accounting, kept, bytes)? })
    }

    /// Returns the answer as a sentence.
    fn sentence(&self, shape: &Shape) -> String {
        let (megabytes, longest) = (self.bytes as f64 / 1e6, shape.config.max_position_embeddings);
        match self.reading {
            None => format!("Not even one token of {} fits into {megabytes:.1} MB.", shape.name),
            Some(context) if context == longest => {
                format!("All {longest} tokens that {} reads fit into {megabytes:.1} MB.", shape.name)
            }
            Some(context) => {
                format!(
                    "A prompt of {context} tokens fits into {megabytes:.1} MB. {} reads {longest}.",
                    shape.name
                )
            }
        }
    }
}

/// Returns what the table does not show: how long a context fits, and what a smaller cache does not save.
fn notes(shape: &Shape, kept: &KeptCache, fit: Option<&Fit>) -> Vec<String> {
    let mut notes = Vec::new();
    if *kept != kept.while_reading() {
        notes.push(
            "The cache becomes smaller after the prompt was read. Until then it is whole and not quantised."
                .to_owned(),
        );
    }
    if let Some(fit) = fit {
        notes.push(fit.sentence(shape));
        if let Some(after) = fit.after.filter(|_| fit.after != fit.reading) {
            notes.push(format!("After its cache was compressed, one of {after} tokens fits."));
        }
    }
    notes
}

/// Returns the shape of a model. For a published model the known configuration is used, unless a folder or a
/// file has that name.
///
/// # Errors
/// When there is no such model. The message names the models whose configurations are known.
pub(crate) fn model_shape(model: &str, reading: &ReadingArguments) -> Result<Shape> {
    Ok(shape_and_model(model, reading)?.0)
}

/// Does the same as [`model_shape`], and returns the model too if it was loaded. Only the configuration of a
/// published model is used.
///
/// # Errors
/// Fails as [`model_shape`] does.
pub(crate) fn shape_and_model(
    model: &str,
    reading: &ReadingArguments,
) -> Result<(Shape, Option<LoadedModel>)> {
    if let Some(known) = published_shape(model)? {
        return Ok((reading.shape(known)?, None));
    }
    let known: Vec<String> = published_models()?.into_iter().map(|shape| shape.name).collect();
    let with_known_names = |error: anyhow::Error| match Path::new(model).exists() {
        true => error,
        false => anyhow!("{error}, or {}, whose configurations are known", known.join(" or ")),
    };
    let source = reading.source(model).map_err(with_known_names)?;
    let loaded = model::loaded(&source)?;
    Ok((Shape::new(&loaded), Some(loaded)))
}
