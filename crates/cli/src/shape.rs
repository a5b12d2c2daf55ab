//! A model's shape by its short name, or from a configuration file.

use std::path::Path;

use anyhow::{Context, Result, bail};
use bitkv_checkpoint::Config;
use bitkv_lab::{Source, built_in, memory::published_models};

/// The configuration of `2b-4t`, `large`, a built-in model, or a file.
///
/// # Errors
/// When there is none of that name, or the file is refused.
pub(crate) fn config(shape: &str) -> Result<Config> {
    let name = match shape {
        "2b-4t" => "BitNet-b1.58-2B-4T",
        "large" => "bitnet_b1_58-large",
        other => other,
    };
    if let Some(known) = published_models()?.into_iter().find(|known| known.name == name) {
        return Ok(known.config);
    }
    if built_in().contains(&shape) {
        return Ok(Source::find(shape)?.checkpoint()?.config().clone());
    }
    if !Path::new(shape).is_file() {
        bail!("there is no shape {shape}: use 2b-4t, large, {}, or a config.json", built_in().join(", "));
    }
    let text = std::fs::read_to_string(shape).with_context(|| format!("cannot read {shape}"))?;
    Ok(Config::from_json(&text, shape)?)
}
