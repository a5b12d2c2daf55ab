//! Renders a document as HTML, as Markdown and as plain text.

mod html;
mod markdown;
mod terminal;

pub(crate) use html::html;
pub(crate) use markdown::markdown;
pub(crate) use terminal::terminal;
