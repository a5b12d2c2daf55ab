//! Messages to the text that a model was tuned on.

mod environment;
mod find;
mod python_json;

use minijinja::{Environment, ErrorKind, Value};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks: `system`, `user` or `assistant`, as far as the template knows them.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of a role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        Message { role: role.into(), content: content.into() }
    }

    fn value(&self) -> Value {
        Value::from_pairs([("role", self.role.as_str()), ("content", self.content.as_str())])
    }
}

/// A chat template, rendered by the rules of HF's `apply_chat_template`.
///
/// Those are: blocks take their line's white space and line end with them, undefined names are empty, Python's
/// methods of strings and mappings work, `raise_exception` fails with its message. `strftime_now` is not
/// defined, so that a template that asks first gives the same text every day, and one that does not ask fails.
pub struct Chat {
    environment: Environment<'static>,
    file: String,
    /// `bos_token`, `eos_token` and so on.
    tokens: Vec<(String, String)>,
}

/// What Microsoft's BitNet b1.58 2B-4T was tuned on: a turn is the role with a capital, a colon, the trimmed text
/// and `<|eot_id|>`.
const BITNET_2B_4T: &str = "\
{%- for message in messages -%}
{%- if loop.first -%}{{ bos_token }}{%- endif -%}
{{ message['role'] | capitalize }}: {{ message['content'] | trim }}<|eot_id|>
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'Assistant: ' }}{%- endif -%}
";

/// Work that a template may do: as much as a long conversation needs many times over, and over soon.
const STEPS: u64 = 20_000;
/// The same for every message.
const STEPS_PER_MESSAGE: u64 = 2_000;

impl Chat {
    /// From the text of a template, as in `chat_template` of `tokenizer_config.json`. `tokens` are what it knows
    /// by name, such as `("bos_token", "<s>")`; `file` is named in errors.
    ///
    /// # Errors
    /// When it is not a template.
    pub fn new(template: &str, file: &str, tokens: &[(&str, &str)]) -> Result<Chat> {
        let mut environment = environment::new();
        let added = environment.add_template_owned(TEMPLATE, template.to_string());
        added.map_err(|e| failed(file, &e))?;
        let own = |(name, token): &(&str, &str)| (name.to_string(), token.to_string());
        Ok(Chat { environment, file: file.into(), tokens: tokens.iter().map(own).collect() })
    }

    /// The template of BitNet b1.58 2B-4T and those tuned from it.
    pub fn bitnet_2b_4t() -> Chat {
        let tokens = [("bos_token", "<|begin_of_text|>"), ("eos_token", "<|eot_id|>")];
        Chat::new(BITNET_2B_4T, "the template of BitNet b1.58 2B-4T", &tokens).expect("a valid template")
    }

    /// The text of a conversation. Encode it by [`Tokenizer::encode`](crate::Tokenizer::encode), which turns
    /// its special tokens into ids, and those that a message's content spells out, too. With
    /// `add_generation_prompt`, the assistant's turn is begun for the model to go on with.
    ///
    /// # Errors
    /// When the template fails, such as on a role that it does not know, or takes too long.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(STEPS + STEPS_PER_MESSAGE * messages.len() as u64));
        let tokens = self.tokens.iter().map(|(name, token)| (name.clone(), Value::from(token.as_str())));
        let own = [
            ("messages".to_string(), messages.iter().map(Message::value).collect()),
            ("add_generation_prompt".to_string(), Value::from(add_generation_prompt)),
        ];
        let context = Value::from_pairs(tokens.chain(own));
        let mut text = environment::Limited::new(messages);
        let template = environment.get_template(TEMPLATE).map_err(|e| failed(&self.file, &e))?;
        template.render_captured_to(context, &mut text).map_err(|e| failed(&self.file, &e))?;
        Ok(text.into_string())
    }
}

const TEMPLATE: &str = "chat template";

fn failed(file: &str, error: &minijinja::Error) -> Error {
    let reason = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps".into(),
        ErrorKind::WriteFailure => "it writes too much".into(),
        kind => error.detail().map_or_else(|| kind.to_string(), String::from),
    };
    Error::Chat { file: file.into(), line: error.line().unwrap_or(1), reason }
}
