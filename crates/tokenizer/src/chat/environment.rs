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

/// Text of bounded length.
pub(super) struct Limited {
    bytes: Vec<u8>,
    limit: usize,
}

/// Bytes that a template may write besides what it is given.
const OWN: usize = 1 << 20;
/// How often it may write all that it is given.
const COPIES: usize = 8;

impl Limited {
    pub(super) fn new(messages: &[Message]) -> Limited {
        let given: usize = messages.iter().map(|m| m.role.len() + m.content.len()).sum();
        Limited { bytes: Vec::new(), limit: OWN + COPIES * given }
    }

    /// Returns the text that was written.
    pub(super) fn into_string(self) -> String {
        String::from_utf8(self.bytes).expect("templates write characters")
    }
}

impl io::Write for Limited {
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
