use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bitkv_checkpoint::{Config, write_random};
use bitkv_lab::memory::published_models;
use serde_json::json;

use crate::{output, progress};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// `2b-4t`, `large`, or a config.json.
    #[arg(long)]
    shape: String,
    /// Folder for config.json and model.safetensors, made if absent.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Start of the random numbers.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let config = config(&arguments.shape)?;
    let mut bar = progress::bytes("writing");
    let mut bytes = 0;
    write_random(&config, arguments.seed, &arguments.out, &mut |done, total| {
        bytes = total;
        bar.at(done, total);
    })?;
    bar.finish();
    let folder = arguments.out.display().to_string();
    if arguments.json {
        return output::json(&json!({"folder": folder, "tensor_bytes": bytes, "seed": arguments.seed}));
    }
    output::text(&format!("{folder}: a random model of {:.1} MB; it has no tokenizer\n", bytes as f64 / 1e6))
}

/// A published shape by its short name, or a configuration file.
fn config(shape: &str) -> Result<Config> {
    let name = match shape {
        "2b-4t" => "BitNet-b1.58-2B-4T",
        "large" => "bitnet_b1_58-large",
        other => other,
    };
    if let Some(known) = published_models()?.into_iter().find(|known| known.name == name) {
        return Ok(known.config);
    }
    if !Path::new(shape).is_file() {
        bail!("there is no shape {shape}: use 2b-4t, large, or a config.json");
    }
    let text = std::fs::read_to_string(shape).with_context(|| format!("cannot read {shape}"))?;
    Ok(Config::from_json(&text, shape)?)
}
