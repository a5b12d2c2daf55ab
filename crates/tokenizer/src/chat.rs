//! Messages to the text that a model was tuned on.

mod environment;
mod find;
mod python_json;

use std::panic::{AssertUnwindSafe, catch_unwind};

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
///
/// The steps of a template and the length of what it writes are bounded, but not the memory that it may use for
/// texts on the way.
pub struct Chat {
    environment: Environment<'static>,
    template: String,
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
        let template = template.to_string();
        Ok(Chat { environment, template, file: file.into(), tokens: tokens.iter().map(own).collect() })
    }

    /// The template of BitNet b1.58 2B-4T and those tuned from it.
    pub fn bitnet_2b_4t() -> Chat {
        let bos = [("bos_token", "<|begin_of_text|>")];
        Chat::new(BITNET_2B_4T, "the template of BitNet b1.58 2B-4T", &bos).expect("a valid template")
    }

    /// The template's own text.
    pub fn template(&self) -> &str {
        &self.template
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
        let template = environment.get_template(TEMPLATE).map_err(|e| failed(&self.file, &e))?;
        let tokens = self.tokens.iter().map(|(name, token)| (name.as_str(), Value::from(token.as_str())));
        let own = [
            ("messages", messages.iter().map(Message::value).collect()),
            ("add_generation_prompt", Value::from(add_generation_prompt)),
        ];
        let context = Value::from_pairs(tokens.chain(own));
        let mut text = environment::Limited::new(messages);
        // Slicing nothing backwards, as in `messages[::-1]`, panics within minijinja 3.0.
        let rendered =
            catch_unwind(AssertUnwindSafe(|| template.render_captured_to(context, &mut text).map(drop)));
        match rendered {
            Ok(Ok(())) => Ok(text.into_string()),
            Ok(Err(error)) => Err(failed(&self.file, &error)),
            Err(_) => {
                let reason = "the template engine gives up on it".into();
                Err(Error::Chat { file: self.file.clone(), line: 1, reason })
            }
        }
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
