//! Reads `generation_config.json`, in which chat models list more stop tokens than in `config.json`.

use std::{io, path::Path};

use crate::{
    Config, Error, Result,
    json::{self, Object},
};

/// Adds the stop tokens of `generation_config.json` in `folder` to the configuration. Does nothing if there
/// is no such file.
///
/// # Errors
/// Returns an error if the file is not valid, or a token is outside the vocabulary.
pub(crate) fn add_stop_tokens(folder: &Path, config: &mut Config) -> Result<()> {
    let path = folder.join("generation_config.json");
    let text = match json::read_text(&path, bitkv_bytes::limit::SETTINGS) {
        Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => text?,
    };
    let file = path.display().to_string();
    let value = json::parse(&text, &file)?;
    let root = Object::root(&file, &value)?;
    for id in root.token_ids("eos_token_id")?.unwrap_or_default() {
        if id as usize >= config.vocab_size {
            let reason = format!("outside the vocabulary of {}", config.vocab_size);
            return Err(root.bad("eos_token_id", id, reason));
        }
        if !config.eos_token_ids.contains(&id) {
            config.eos_token_ids.push(id);
        }
    }
    Ok(())
}
