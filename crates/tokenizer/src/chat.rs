//! Chat templates, which turn messages into text in the format on which a model was tuned.

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
    /// The speaker: `system`, `user`, `assistant`, or another role that the template knows.
    pub role: String,
    /// The text of the message.
    pub content: String,
}

impl Message {
    /// Returns a message of a role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        Message { role: role.into(), content: content.into() }
    }

    /// Returns the message as a value that templates can read.
    fn value(&self) -> Value {
        Value::from_pairs([("role", self.role.as_str()), ("content", self.content.as_str())])
    }
}

/// A chat template, rendered by the rules of Hugging Face's `apply_chat_template`.
///
/// The rules are these. A block tag removes the white space before it and the line end after it. Undefined
/// names are empty. Python's methods of strings and mappings work. `raise_exception` fails with its message.
/// `strftime_now` is not defined, so that a conversation gives the same text every day; a template fails if
/// it calls this function without checking that it is defined.
///
/// The number of steps of a template and the length of its output are limited. The memory for intermediate
/// texts is not.
pub struct Chat {
    environment: Environment<'static>,
    template: String,
    file: String,
    /// The tokens that the template knows by name, such as `bos_token`: names and values.
    tokens: Vec<(String, String)>,
}

/// The template that Microsoft's BitNet b1.58 2B-4T was tuned on: a turn is the capitalised role, a colon,
/// the trimmed text and `<|eot_id|>`.
const BITNET_2B_4T: &str = "\
{%- for message in messages -%}
{%- if loop.first -%}{{ bos_token }}{%- endif -%}
{{ message['role'] | capitalize }}: {{ message['content'] | trim }}<|eot_id|>
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'Assistant: ' }}{%- endif -%}
";

/// The number of steps that a template may take. It is many times what a long conversation needs, but small
/// enough that a hostile template ends quickly.
const STEPS: u64 = 20_000;
/// The number of additional steps per message.
const STEPS_PER_MESSAGE: u64 = 2_000;

impl Chat {
    /// Compiles the text of a template, as in `chat_template` of `tokenizer_config.json`. `tokens` are the
    /// tokens that it knows by name, such as `("bos_token", "<s>")`; errors name `file`.
    ///
    /// # Errors
    /// Returns an error if the text is not a template.
    pub fn new(template: &str, file: &str, tokens: &[(&str, &str)]) -> Result<Chat> {
        let mut environment = environment::new();
        let added = environment.add_template_owned(TEMPLATE, template.to_string());
        added.map_err(|e| failed(file, &e))?;
        let owned = |(name, token): &(&str, &str)| (name.to_string(), token.to_string());
        let template = template.to_string();
        Ok(Chat { environment, template, file: file.into(), tokens: tokens.iter().map(owned).collect() })
    }

    /// Returns the template of BitNet b1.58 2B-4T and of models that were tuned from it.
    pub fn bitnet_2b_4t() -> Chat {
        let bos = [("bos_token", "<|begin_of_text|>")];
        Chat::new(BITNET_2B_4T, "the template of BitNet b1.58 2B-4T", &bos).expect("a valid template")
    }

    /// Returns the text of the template.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Returns the text of a conversation. With `add_generation_prompt`, it ends with the beginning of the
    /// assistant's turn, which the model continues.
    ///
    /// Encode the text with [`Tokenizer::encode`](crate::Tokenizer::encode), which turns special tokens into
    /// their ids. That includes special tokens that are spelt out in the content of a message.
    ///
    /// # Errors
    /// Returns an error if the template fails, for example on an unknown role, or takes too many steps.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(STEPS + STEPS_PER_MESSAGE * messages.len() as u64));
        let template = environment.get_template(TEMPLATE).map_err(|e| failed(&self.file, &e))?;
        let tokens = self.tokens.iter().map(|(name, token)| (name.as_str(), Value::from(token.as_str())));
        let variables = [
            ("messages", messages.iter().map(Message::value).collect()),
            ("add_generation_prompt", Value::from(add_generation_prompt)),
        ];
        let context = Value::from_pairs(tokens.chain(variables));
        let mut text = environment::LimitedText::new(messages);
        // Reversing an empty slice, as in `messages[::-1]`, panics inside minijinja 3.0.
        let rendered =
            catch_unwind(AssertUnwindSafe(|| template.render_captured_to(context, &mut text).map(drop)));
        match rendered {
            Ok(Ok(())) => Ok(text.into_string()),
            Ok(Err(error)) => Err(failed(&self.file, &error)),
            Err(_) => {
                let reason = "the template engine crashes on it".into();
                Err(Error::Chat { file: self.file.clone(), line: 1, reason })
            }
        }
    }
}

/// The name of the template in its environment.
const TEMPLATE: &str = "chat template";

/// Returns the error for a template that fails.
fn failed(file: &str, error: &minijinja::Error) -> Error {
    let reason = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps".into(),
        ErrorKind::WriteFailure => "it writes too much".into(),
        kind => error.detail().map_or_else(|| kind.to_string(), String::from),
    };
    Error::Chat { file: file.into(), line: error.line().unwrap_or(1), reason }
}
