//! A model's shape by its short name, or from a configuration file.

use std::path::Path;

use anyhow::{Context, Result, bail};
use bitkv_checkpoint::Config;
use bitkv_lab::{Source, built_in, built_in_name, memory::published_model};

/// The configuration in a file, of a published model by any of its names, or of a built-in model.
///
/// # Errors
/// When there is none of that name, or the file is refused.
pub(crate) fn config(shape: &str) -> Result<Config> {
    if Path::new(shape).is_file() {
        let text = std::fs::read_to_string(shape).with_context(|| format!("cannot read {shape}"))?;
        return Ok(Config::from_json(&text, shape)?);
    }
    if let Some(known) = published_model(shape)? {
        return Ok(known.config);
    }
    let Some(name) = built_in_name(shape) else {
        bail!("there is no shape {shape}: use 2b-4t, large, {}, or a config.json", built_in().join(", "));
    };
    Ok(Source::find(name)?.checkpoint()?.config().clone())
}
