//! Writes a `tokenizer.json`.

use serde_json::{Value, json};

use crate::{Error, Result, Tokenizer, spelling::Spelling};

impl Tokenizer {
    /// Returns the bytes of a `tokenizer.json` that [`Tokenizer::from_json_bytes`] and Hugging Face's
    /// tokenizers read as this tokenizer. Its post-processor adds [`Tokenizer::special_tokens`].
    ///
    /// # Errors
    /// Returns an error if a part cannot be written as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let failed = |e: serde_json::Error| Error::tokenizer(&self.file, e.to_string());
        let mut added: Vec<_> = self.splitter.parsing.get_added_tokens_decoder().iter().collect();
        added.sort_by_key(|(id, _)| **id);
        let added = added.into_iter().map(|(id, token)| {
            let mut value = serde_json::to_value(token)?;
            value["id"] = (*id).into();
            Ok(value)
        });
        let document = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added.collect::<std::result::Result<Vec<Value>, _>>().map_err(failed)?,
            "normalizer": serde_json::to_value(&self.splitter.normalizer).map_err(failed)?,
            "pre_tokenizer": serde_json::to_value(&self.splitter.pre_tokenizer).map_err(failed)?,
            "post_processor": self.special_tokens.post_processor(|id| self.token(id).unwrap_or_default()),
            "decoder": decoder(self.spelling),
            "model": serde_json::to_value(&self.model).map_err(failed)?,
        });
        serde_json::to_vec(&document).map_err(failed)
    }
}

/// Returns the `decoder` of a `tokenizer.json` for a spelling.
fn decoder(spelling: Spelling) -> Value {
    match spelling {
        Spelling::ByteLevel => {
            json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true})
        }
        Spelling::SentencePiece { strip } => {
            let mut steps = vec![
                json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
                json!({"type": "ByteFallback"}),
                json!({"type": "Fuse"}),
            ];
            if strip {
                steps.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
            }
            json!({"type": "Sequence", "decoders": steps})
        }
    }
}
