//! The environment that renders chat templates by the rules of Hugging Face.

use std::io;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, syntax::SyntaxConfig};
use minijinja_contrib::pycompat::unknown_method_callback;

use crate::{Message, chat::python_json::to_json};

/// Returns an environment with Hugging Face's syntax, filters and functions.
pub(super) fn new() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the delimiters are the usual ones"));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.add_filter("tojson", to_json);
    let fail = |message: String| Err::<String, _>(Error::new(ErrorKind::InvalidOperation, message));
    environment.add_function("raise_exception", fail);
    environment
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

impl LimitedText {
    /// Returns an empty text whose limit depends on the length of the messages.
    pub(super) fn new(messages: &[Message]) -> LimitedText {
        let length: usize = messages.iter().map(|m| m.role.len() + m.content.len()).sum();
        LimitedText { bytes: Vec::new(), limit: EXTRA + COPIES * length }
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
