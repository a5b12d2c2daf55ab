//! The checkpoint to examine, with the files that came with it.

use bitkv_bytes::limit;
use bitkv_checkpoint::Checkpoint;
use bitkv_tokenizer::Tokenizer;
use serde_json::Value;

use bitkv_models::Source;

use crate::{Error, Result};

/// A checkpoint with the files that came with it: everything that the checks read.
pub struct Evidence {
    /// The weights, which may be damaged.
    pub checkpoint: Checkpoint,
    /// The tokenizer beside the weights; `None` if there is no tokenizer, or the error if it cannot be used.
    pub tokenizer: bitkv_models::Result<Option<Tokenizer>>,
    /// The content of `config.json` as it is; `None` if there is no such file.
    pub settings: Option<Value>,
    /// Another checkpoint of the same model that is taken to be right, such as the full-precision master
    /// weights.
    pub masters: Option<Checkpoint>,
}

impl Evidence {
    /// Reads the files beside an opened checkpoint, and opens its master weights if they are given. A
    /// tokenizer that cannot be used is not an error here; the checks report it.
    ///
    /// # Errors
    /// Fails if the master weights cannot be opened.
    pub fn gather(source: &Source, checkpoint: Checkpoint, masters: Option<&Source>) -> Result<Evidence> {
        let masters = masters
            .map(|masters| {
                masters
                    .checkpoint()
                    .map_err(|error| Error::Masters { model: source.name(), source: Box::new(error) })
            })
            .transpose()?;
        let tokenizer = source.tokenizer(&checkpoint);
        // The checkpoint could be opened, so the file can be read if it exists.
        let text = source
            .folder()
            .and_then(|folder| bitkv_bytes::read_document(&folder.join("config.json"), limit::SETTINGS).ok());
        let settings = text.and_then(|text| serde_json::from_str(&text).ok());
        Ok(Evidence { checkpoint, tokenizer, settings, masters })
    }
}
