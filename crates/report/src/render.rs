//! The three forms of a document.

mod html;
mod markdown;
mod terminal;

pub(crate) use html::html;
pub(crate) use markdown::markdown;
pub(crate) use terminal::terminal;

/// Where a figure lies, seen from the report.
pub(crate) fn figure_path(id: &str) -> String {
    format!("figures/{id}.svg")
}
