//! Chat templates, which turn messages into text in the format on which a model was tuned.

mod clock;
mod environment;
mod filters;
mod find;
mod meter;
mod methods;
mod percent;
mod python_json;
mod python_text;
mod rewrite;
mod scan;
mod view;

use std::time::Duration;

use jiff::{
    Zoned,
    civil::{Date, DateTime},
};
use minijinja::{Environment, ErrorKind, Value};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, guard::guarded_within};

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
/// `strftime_now` is the local time, or the date that [`Chat::on_date`] fixes. `tools` and `documents` are
/// `None`.
///
/// The size of a template, its steps, and the length of the texts that it makes are limited.
pub struct Chat {
    environment: Environment<'static>,
    template: String,
    file: String,
    /// The tokens that the template knows by name, such as `bos_token`: names and values.
    tokens: Vec<(String, String)>,
    /// The date that templates read; `None` for today.
    date: Option<Date>,
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
/// The time that a template may take, and the additional time for each message. Published templates need
/// milliseconds.
const TIME: Duration = Duration::from_secs(3);
const TIME_PER_MESSAGE: Duration = Duration::from_millis(10);

impl Chat {
    /// Compiles the text of a template, as in `chat_template` of `tokenizer_config.json`. `tokens` are the
    /// tokens that it knows by name, such as `("bos_token", "<s>")`; errors name `file`.
    ///
    /// # Errors
    /// Returns an error if the text is empty, is not a template, or is too large.
    pub fn new(template: &str, file: &str, tokens: &[(&str, &str)]) -> Result<Chat> {
        let template = template.strip_prefix('\u{feff}').unwrap_or(template);
        let refused = |line, reason| Error::Chat { file: file.into(), line, reason };
        if template.trim().is_empty() {
            return Err(refused(1, "it is empty, so it would drop every message".into()));
        }
        let rewritten = rewrite::rewrite(template).map_err(|(line, reason)| refused(line, reason))?;
        let mut environment = environment::new();
        let added = environment.add_template_owned(TEMPLATE, rewritten);
        added.map_err(|e| failed(file, &e))?;
        let owned = |(name, token): &(&str, &str)| (name.to_string(), token.to_string());
        let (template, tokens) = (template.to_string(), tokens.iter().map(owned).collect());
        Ok(Chat { environment, template, file: file.into(), tokens, date: None })
    }

    /// Returns the template with a fixed date, written as `YYYY-MM-DD`, in the place of today.
    ///
    /// # Errors
    /// Returns an error if the text is not a date.
    pub fn on_date(mut self, date: &str) -> Result<Chat> {
        let wrong = |reason: jiff::Error| Error::Date { date: date.into(), reason: reason.to_string() };
        self.date = Some(Date::strptime("%Y-%m-%d", date).map_err(wrong)?);
        Ok(self)
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
        let now = self.date.map_or_else(|| Zoned::now().datetime(), DateTime::from);
        environment::add_limits(&mut environment, now, messages);
        environment.set_fuel(Some(STEPS + STEPS_PER_MESSAGE * messages.len() as u64));
        let tokens = self.tokens.iter().map(|(name, token)| (name.as_str(), Value::from(token.as_str())));
        let variables = [
            ("messages", messages.iter().map(Message::value).collect()),
            ("add_generation_prompt", Value::from(add_generation_prompt)),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
        ];
        let context = Value::from_pairs(tokens.chain(variables));
        let mut text = environment::LimitedText::new(messages);
        let time = TIME + TIME_PER_MESSAGE * u32::try_from(messages.len()).unwrap_or(u32::MAX);
        // Some operations are a single step for the engine, and take very long, such as comparing lists that
        // hold lists. Reversing an empty slice, as in `messages[::-1]`, panics inside minijinja 3.0.
        let rendered = guarded_within(time, move || {
            let template = environment.get_template(TEMPLATE)?;
            template.render_captured_to(context, &mut text)?;
            Ok(text.into_string())
        });
        let refused = |reason: &str| Error::Chat { file: self.file.clone(), line: 1, reason: reason.into() };
        match rendered {
            Some(Ok(rendered)) => rendered.map_err(|error| failed(&self.file, &error)),
            Some(Err(_)) => Err(refused("the template engine crashes on it")),
            None => Err(refused("it takes too long")),
        }
    }
}

/// The name of the template in its environment.
const TEMPLATE: &str = "chat template";

/// Returns the error for a template that fails.
fn failed(file: &str, error: &minijinja::Error) -> Error {
    let reason = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps".into(),
        ErrorKind::WriteFailure if error.detail() == Some(meter::TOO_LONG) => meter::TOO_LONG.into(),
        ErrorKind::WriteFailure => "it writes too much".into(),
        kind => error.detail().map_or_else(|| kind.to_string(), String::from),
    };
    Error::Chat { file: file.into(), line: error.line().unwrap_or(1), reason }
}
