//! The environment that renders chat templates by the rules of Hugging Face.

use std::io;

use jiff::civil::DateTime;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, Value,
    syntax::SyntaxConfig,
    value::{Kwargs, Rest},
};

use super::{
    filters,
    meter::{self, Meter},
    methods, percent, python_json, python_text, rewrite,
};
use crate::Message;

/// Returns an environment with Hugging Face's syntax, filters and functions.
pub(super) fn new() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the delimiters are the usual ones"));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.add_filter("tojson", python_json::to_json);
    filters::add(&mut environment);
    let fail = |message: &Value| Err::<String, _>(wrong(python_text::text(message)));
    environment.add_function("raise_exception", fail);
    environment
}

/// Returns the error for an operation that Python refuses.
pub(super) fn wrong(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

/// Adds the functions that depend on the conversation and the time to an environment.
pub(super) fn add_limits(environment: &mut Environment<'static>, now: DateTime, messages: &[Message]) {
    let meter = Meter::new(8 * most_bytes(messages));
    let count = meter.clone();
    environment.add_filter(rewrite::COUNTED, move |value: Value| count.count(value));
    let count = meter.clone();
    environment.add_filter(rewrite::MADE, move |value: Value| count.count_all(value));
    environment.add_filter(rewrite::HELD, |value: Value| match meter::holds_namespace(&value)? {
        true => Err(wrong("a namespace inside a namespace is not supported")),
        false => Ok(value),
    });
    let count = meter.clone();
    environment.add_filter(rewrite::SUMMED, move |value: Value| count.count(filters::list_of(value)?));
    let count = meter.clone();
    environment
        .add_filter(rewrite::JOINED, move |value: &Value| count.count(python_text::text(value).into()));
    let count = meter.clone();
    environment.add_filter(rewrite::PERCENT, move |state: &mut State, left: &Value, right: &Value| {
        count.count(percent::percent(state, left, right)?)
    });
    let count = meter.clone();
    environment.add_filter("format", move |pattern: &str, values: Rest<Value>| {
        count.count(percent::format_filter(pattern, &values)?)
    });
    let count = meter.clone();
    environment.add_filter("join", move |value: &Value, separator: Option<Value>, named: Kwargs| {
        count.count(filters::join(value, separator, named)?.into())
    });
    let count = meter.clone();
    environment.add_filter("replace", move |value: &Value, old: &str, new: &str, most: Option<i64>| {
        count.count(filters::replace(value, old, new, most)?.into())
    });
    let count = meter.clone();
    environment.set_unknown_method_callback(move |state, value, method, args| {
        count.count(methods::call(state, value, method, args)?)
    });
    environment.set_formatter(move |output: &mut Output, _: &mut State, value: &Value| {
        let text = python_text::text(value);
        meter.spend(text.len())?;
        output.write_str(&text).map_err(Error::from)
    });
    environment.add_function("strftime_now", move |format: Option<&str>, named: Kwargs| {
        let named_format: Option<&str> = named.get("format")?;
        named.assert_all_used()?;
        let format = format.or(named_format).ok_or_else(|| wrong("strftime_now wants a format"))?;
        super::clock::format(now, format)
    });
}

/// The output of a template, whose length is limited.
pub(super) struct LimitedText {
    bytes: Vec<u8>,
    limit: usize,
}

/// The number of bytes that a template may write in addition to the messages.
const EXTRA: usize = 1 << 20;
/// The number of times that a template may write all of the messages.
const COPIES: usize = 8;

/// Returns the number of bytes that a template may write.
fn most_bytes(messages: &[Message]) -> usize {
    let length: usize = messages.iter().map(|m| m.role.len() + m.content.len()).sum();
    EXTRA + COPIES * length
}

impl LimitedText {
    /// Returns an empty text whose limit depends on the length of the messages.
    pub(super) fn new(messages: &[Message]) -> LimitedText {
        LimitedText { bytes: Vec::new(), limit: most_bytes(messages) }
    }

    /// Returns the text that was written.
    pub(super) fn into_string(self) -> String {
        String::from_utf8(self.bytes).expect("templates write characters")
    }
}

impl io::Write for LimitedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
