//! Finding the chat template of a model.

use std::path::Path;

use serde_json::Value;

use crate::{
    Chat, Error, Result,
    folder::{optional, read},
};

/// Found in the template that GGUF files of BitNet b1.58 2B-4T carry, which is not what the model was tuned on.
const OUTDATED: &str = "BITNETAssistant";

impl Chat {
    /// The chat template of a model's folder, if it has one: `chat_template.jinja`, or else `chat_template` in
    /// `tokenizer_config.json`, where of several the one named `default` counts.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Option<Chat>> {
        let folder = folder.as_ref();
        let path = folder.join("tokenizer_config.json");
        let name = path.display().to_string();
        let config = optional(&path)?.unwrap_or_default();
        let tokens = tokens(&config);
        let tokens: Vec<(&str, &str)> = tokens.iter().map(|(name, token)| (*name, *token)).collect();
        let own = folder.join("chat_template.jinja");
        if own.exists() {
            let name = own.display().to_string();
            let text = String::from_utf8(read(&own)?);
            let text =
                text.map_err(|e| Error::Chat { file: name.clone(), line: 1, reason: e.to_string() })?;
            return Chat::new(&text, &name, &tokens).map(Some);
        }
        template(&config, &name)?.map(|text| Chat::new(text, &name, &tokens)).transpose()
    }

    /// The chat template of a GGUF file, `tokenizer.chat_template`. For BitNet b1.58 2B-4T the files carry an
    /// outdated one; the right one is taken in its place.
    ///
    /// # Errors
    /// When it is not a template.
    pub fn from_gguf(template: &str, file: &str, tokens: &[(&str, &str)]) -> Result<Chat> {
        if template.contains(OUTDATED) {
            return Ok(Chat::bitnet_2b_4t());
        }
        Chat::new(template, file, tokens)
    }
}

/// `bos_token` and so on, which are texts or carry one as `content`.
fn tokens(config: &Value) -> Vec<(&str, &str)> {
    let entries = config.as_object().into_iter().flatten();
    let roles = entries.filter(|(name, _)| name.ends_with("_token"));
    let texts = roles.map(|(name, value)| (name.as_str(), value.as_str().or(value["content"].as_str())));
    texts.filter_map(|(name, text)| Some((name, text?))).collect()
}

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
