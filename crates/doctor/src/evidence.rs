//! What an examination starts from.

use std::fs;

use bitkv_checkpoint::Checkpoint;
use bitkv_tokenizer::Tokenizer;
use serde_json::Value;

use bitkv_models::Source;

use crate::{Error, Result};

/// A checkpoint with what came with it.
pub struct Evidence {
    /// The weights; they need not be fit to run.
    pub checkpoint: Checkpoint,
    /// The tokenizer beside them, if there is one, or why it is refused.
    pub tokenizer: bitkv_models::Result<Option<Tokenizer>>,
    /// The text of `config.json` as it is, where there is such a file.
    pub settings: Option<Value>,
    /// Another checkpoint of the same model, taken to be right: full-precision masters, or other files.
    pub masters: Option<Checkpoint>,
}

impl Evidence {
    /// What lies beside an opened checkpoint, and its masters if they are at hand. A tokenizer that is refused is part of
    /// the evidence.
    ///
    /// # Errors
    /// When the masters cannot be opened.
    pub fn gather(source: &Source, checkpoint: Checkpoint, masters: Option<&Source>) -> Result<Evidence> {
        let masters = masters
            .map(|masters| {
                masters
                    .checkpoint()
                    .map_err(|error| Error::Masters { model: source.name(), source: Box::new(error) })
            })
            .transpose()?;
        let tokenizer = source.tokenizer(&checkpoint);
        // The checkpoint is open, so that a file there is can be read.
        let text = source.folder().and_then(|folder| fs::read_to_string(folder.join("config.json")).ok());
        let settings = text.and_then(|text| serde_json::from_str(&text).ok());
        Ok(Evidence { checkpoint, tokenizer, settings, masters })
    }
}
