//! Renders a document as Markdown and as plain text.

mod markdown;
mod terminal;

pub(crate) use markdown::markdown;
pub(crate) use terminal::terminal;
