//! `bitkv random`: a checkpoint with random weights.

use std::path::PathBuf;

use anyhow::Result;
use bitkv_checkpoint::write_random;
use serde_json::json;

use crate::{bars::BARS, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shape: `2b-4t`, `large`, a built-in model's name, or a config.json file.
    #[arg(long)]
    shape: String,
    /// Folder for config.json and model.safetensors. It is created, unless it is there and empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed of the random weights.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let config = bitkv_models::find_config(&arguments.shape)?;
    let bytes = write_random(&config, arguments.seed, &arguments.out, &BARS)?;
    let folder = arguments.out.display().to_string();
    if arguments.json {
        return output::json(&json!({"folder": folder, "tensor_bytes": bytes, "seed": arguments.seed}));
    }
    let megabytes = bytes as f64 / 1e6;
    output::text(&format!("{folder}: {megabytes:.1} MB of random weights, without a tokenizer\n"))
}
