//! The special tokens that are put before and after every text.

use serde_json::{Value, json};
use tokenizers::{Encoding, PostProcessor, PostProcessorWrapper};

use crate::{Error, Result, guard::guarded};

/// The ids that a tokenizer puts before and after every text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// The ids before a text, usually none or the token that starts a sequence.
    pub before: Vec<u32>,
    /// The ids after a text, usually none.
    pub after: Vec<u32>,
}

/// An id that no tokenizer has. It marks the place of the text among the special tokens.
const TEXT: u32 = u32::MAX;

impl SpecialTokens {
    /// Returns the ids of a text with the special tokens before and after them.
    pub(crate) fn around(&self, ids: &[u32]) -> Vec<u32> {
        [&self.before, ids, &self.after].concat()
    }

    /// Returns the tokens that the `post_processor` of a `tokenizer.json` adds, in the same way as the crate
    /// `tokenizers` does; none if it is null.
    ///
    /// # Errors
    /// Returns an error if the post-processor is not understood, repeats a text, or drops it.
    pub(crate) fn from_post_processor(post_processor: &Value, file: &str) -> Result<SpecialTokens> {
        if post_processor.is_null() {
            return Ok(SpecialTokens::default());
        }
        let wrong = |reason: String| Error::tokenizer(file, format!("its post_processor {reason}"));
        if let Some(kind) = unknown_kind(post_processor) {
            let known = "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, Sequence";
            return Err(Error::unsupported(file, "post-processor", kind, known));
        }
        let processor: PostProcessorWrapper = serde_json::from_value(post_processor.clone())
            .map_err(|e| wrong(format!("is not understood: {e}")))?;
        let text = Encoding::new(
            vec![TEXT],
            vec![0],
            vec![String::new()],
            vec![None],
            vec![(0, 0)],
            vec![0],
            vec![1],
            Vec::new(),
            Default::default(),
        );
        let processed = guarded(|| processor.process(text, None, true))
            .map_err(|_| wrong("makes the tokenizer crash".into()))?
            .map_err(|e| wrong(format!("fails: {e}")))?;
        let ids = processed.get_ids();
        match ids.iter().filter(|id| **id == TEXT).count() {
            1 => {
                let at = ids.iter().position(|id| *id == TEXT).unwrap_or_default();
                Ok(SpecialTokens { before: ids[..at].to_vec(), after: ids[at + 1..].to_vec() })
            }
            0 => Err(wrong("drops the text".into())),
            count => Err(wrong(format!("writes the text {count} times"))),
        }
    }

    /// Returns the `post_processor` of a `tokenizer.json` that adds these tokens. `token` returns the token
    /// of an id.
    pub(crate) fn post_processor(&self, token: impl Fn(u32) -> String) -> Value {
        let special = |id: &u32| json!({"SpecialToken": {"id": token(*id), "type_id": 0}});
        let before: Vec<Value> = self.before.iter().map(special).collect();
        let after: Vec<Value> = self.after.iter().map(special).collect();
        let part = |name: &str, kind: u32| vec![json!({"Sequence": {"id": name, "type_id": kind}})];
        let single = [before, part("A", 0), after].concat();
        let pair = [&single[..], &part("B", 1)].concat();
        let used: serde_json::Map<String, Value> = self
            .before
            .iter()
            .chain(&self.after)
            .map(|id| {
                let name = token(*id);
                (name.clone(), json!({"id": name, "ids": [id], "tokens": [name]}))
            })
            .collect();
        json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": used})
    }
}

/// Returns the type of a post-processor that is not known, also inside a sequence.
fn unknown_kind(post_processor: &Value) -> Option<String> {
    match post_processor["type"].as_str() {
        Some("Sequence") => post_processor["processors"].as_array()?.iter().find_map(unknown_kind),
        Some("TemplateProcessing" | "BertProcessing" | "RobertaProcessing" | "ByteLevel") => None,
        Some(kind) => Some(kind.into()),
        None => Some(post_processor.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(parts: &[&str]) -> Value {
        let part = |name: &&str| match *name {
            "A" => json!({"Sequence": {"id": "A", "type_id": 0}}),
            token => json!({"SpecialToken": {"id": token, "type_id": 0}}),
        };
        let single: Vec<Value> = parts.iter().map(part).collect();
        json!({"type": "TemplateProcessing", "single": single, "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [7, 8], "tokens": ["<s>", "<t>"]}}})
    }

    #[test]
    fn what_is_written_is_read() {
        let tokens = SpecialTokens { before: vec![5, 9], after: vec![2] };
        let written = tokens.post_processor(|id| format!("<{id}>"));
        assert_eq!(SpecialTokens::from_post_processor(&written, "x").unwrap(), tokens);
        let none = SpecialTokens::default();
        let written = none.post_processor(|id| format!("<{id}>"));
        assert_eq!(SpecialTokens::from_post_processor(&written, "x").unwrap(), none);
    }

    #[test]
    fn post_processors_that_change_the_text_or_are_unknown_are_refused() {
        let error = |value: &Value| SpecialTokens::from_post_processor(value, "x").unwrap_err().to_string();
        assert!(error(&template(&["A", "A"])).contains("writes the text 2 times"));
        assert!(error(&template(&["<s>"])).contains("drops the text"));
        assert!(error(&json!({"type": "Sequence", "processors": [{"type": "Fancy"}]})).contains("`Fancy`"));
        assert!(error(&template(&["<t>", "A"])).contains("post_processor"));
        let read = SpecialTokens::from_post_processor(&template(&["<s>", "A"]), "x").unwrap();
        assert_eq!(read, SpecialTokens { before: vec![7, 8], after: vec![] });
    }
}
