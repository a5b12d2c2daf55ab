//! Finds the chat template of a model.

use std::path::Path;

use bitkv_bytes::limit;
use serde_json::Value;

use crate::{
    Chat, Error, Result,
    folder::{is_listed, optional, read},
};

/// A text by which the outdated template in GGUF files of BitNet b1.58 2B-4T is recognised. The model was
/// tuned on a different template.
const OUTDATED: &str = "BITNETAssistant";

impl Chat {
    /// Returns the chat template of a model's folder, or `None` if it has no template. The template is in
    /// `chat_template.jinja`, or else at the key `chat_template` of `tokenizer_config.json`. If this key has
    /// several templates, the one named `default` is used.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or is not valid.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Option<Chat>> {
        let folder = folder.as_ref();
        let path = folder.join("tokenizer_config.json");
        let name = path.display().to_string();
        let config = optional(&path)?.unwrap_or_default();
        let tokens = tokens(&config);
        let tokens: Vec<(&str, &str)> = tokens.iter().map(|(name, token)| (*name, *token)).collect();
        let template_file = folder.join("chat_template.jinja");
        if is_listed(&template_file) {
            let name = template_file.display().to_string();
            let text = String::from_utf8(read(&template_file, limit::CHAT_TEMPLATE)?);
            let text =
                text.map_err(|e| Error::Chat { file: name.clone(), line: 1, reason: e.to_string() })?;
            return Chat::new(&text, &name, &tokens).map(Some);
        }
        template(&config, &name)?.map(|text| Chat::new(text, &name, &tokens)).transpose()
    }

    /// Compiles the chat template of a GGUF file, `tokenizer.chat_template`. The files of BitNet b1.58 2B-4T
    /// contain an outdated template, which is replaced by the right one.
    ///
    /// # Errors
    /// Returns an error if the text is not a template.
    pub fn from_gguf(template: &str, file: &str, tokens: &[(&str, &str)]) -> Result<Chat> {
        if template.contains(OUTDATED) {
            return Ok(Chat::bitnet_2b_4t());
        }
        Chat::new(template, file, tokens)
    }
}

/// Returns the names and values of the special tokens of a configuration, such as `bos_token`. A value in the
/// file is a text, or an object whose `content` is a text.
fn tokens(config: &Value) -> Vec<(&str, &str)> {
    let entries = config.as_object().into_iter().flatten();
    let roles = entries.filter(|(name, _)| name.ends_with("_token"));
    let texts = roles.map(|(name, value)| (name.as_str(), value.as_str().or(value["content"].as_str())));
    texts.filter_map(|(name, text)| Some((name, text?))).collect()
}

/// Returns `chat_template` of a configuration, or `None` if it is missing.
fn template<'a>(config: &'a Value, file: &str) -> Result<Option<&'a str>> {
    let wrong = |reason| Error::Json { file: file.into(), reason };
    match &config["chat_template"] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Array(named) => {
            let default = named.iter().find(|entry| entry["name"] == "default");
            let text = default.and_then(|entry| entry["template"].as_str());
            text.map(Some).ok_or_else(|| wrong("none of its `chat_template`s is named `default`".into()))
        }
        _ => Err(wrong("`chat_template` is neither a text nor a list of named ones".into())),
    }
}
