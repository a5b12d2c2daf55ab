//! `bitkv convert`: a checkpoint in another format.

use std::{path::PathBuf, sync::LazyLock};

use anyhow::Result;
use bitkv_bytes::peak_resident_bytes;
use bitkv_checkpoint::{Architecture, Checkpoint, gguf::Target};
use bitkv_models::convert::{write_gguf, write_packed};
use clap::{ValueEnum, builder::PossibleValue};
use serde_json::json;

use crate::{bars::BARS, model, model::ReadingArguments, output, verbosity};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The checkpoint to convert: a built-in name, a folder, a .gguf file, or organisation/name on the hub.
    model: String,
    /// The folder or .gguf file to write. It must not exist yet.
    out: PathBuf,
    /// The format to write.
    #[arg(long, value_enum)]
    to: Format,
    /// Allow scales to be rounded if the format stores them in a smaller type, f16.
    #[arg(long)]
    lossy: bool,
    #[command(flatten)]
    reading: ReadingArguments,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// A format that can be written.
#[derive(Clone, Copy, Debug)]
enum Format {
    Packed,
    Gguf(Target),
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Format] {
        static ALL: LazyLock<Vec<Format>> =
            LazyLock::new(|| [Format::Packed].into_iter().chain(Target::all().map(Format::Gguf)).collect());
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (names, about) = match self {
            Format::Packed => (&["packed"][..], "A Hugging Face folder with packed ternary weights"),
            Format::Gguf(target) => (target.encoding().options, target.encoding().about),
        };
        let (name, aliases) = names.split_first()?;
        Some(PossibleValue::new(*name).aliases(aliases).help(about))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let source = arguments.reading.source(&arguments.model)?;
    let checkpoint = model::checkpoint(&source)?;
    let bytes = match arguments.to {
        Format::Packed => write_packed(&source, &checkpoint, &arguments.out, &BARS)?,
        Format::Gguf(target) => {
            let bytes = write_gguf(&source, &checkpoint, &arguments.out, target, arguments.lossy, &BARS)?;
            if !checkpoint.is_tied() && checkpoint.config().architecture != Architecture::Llama {
                verbosity::note(
                    "for this architecture, bitnet.cpp ignores an LM head that is not tied to the embedding; bitkv reads it",
                );
            }
            let config = checkpoint.config();
            if config.hidden_act != config.architecture.usual_activation() {
                verbosity::note(&format!(
                    "the file names its activation, {}, in a key that llama.cpp reads since August 2026; older programs \
                     compute {}",
                    config.hidden_act.name(),
                    config.architecture.usual_activation().name()
                ));
            }
            bytes
        }
    };
    report(arguments, &checkpoint, bytes)
}

/// Prints how many bytes were read and written.
fn report(arguments: &Arguments, checkpoint: &Checkpoint, bytes: u64) -> Result<()> {
    let (out, read) = (arguments.out.display().to_string(), checkpoint.tensor_bytes());
    let peak = peak_resident_bytes();
    if arguments.json {
        return output::json(&json!({
            "out": out, "tensor_bytes_read": read, "tensor_bytes_written": bytes, "peak_rss_bytes": peak,
        }));
    }
    let peak = peak.map_or(String::new(), |peak| format!("; peak memory {:.0} MB", peak as f64 / 1e6));
    let mega = |bytes: u64| bytes as f64 / 1e6;
    output::text(&format!(
        "{out}: {:.1} MB of tensors written, {:.1} MB read{peak}\n",
        mega(bytes),
        mega(read)
    ))
}
