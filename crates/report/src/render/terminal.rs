//! Renders a document as plain text for a terminal.

use crate::block::{Block, Document};
use crate::escape;
use crate::table::LINE_WIDTH;

/// Returns the document as plain text for a terminal of `width` characters.
pub(crate) fn terminal(document: &Document, width: usize) -> String {
    let title = escape::terminal(&document.title);
    let mut text = format!("{title}\n{}\n", "=".repeat(title.chars().count()));
    for block in &document.blocks {
        let part = part(block, width);
        if !part.is_empty() {
            text += "\n";
            text += &part;
        }
    }
    text
}

/// Returns one block as plain text.
fn part(block: &Block, width: usize) -> String {
    let paragraph = |text: &str, mark: &str| paragraph(text, mark, width.min(LINE_WIDTH));
    match block {
        Block::Heading(_, title) => format!("== {} ==\n", escape::terminal(title)),
        Block::Text(text) => paragraph(text, ""),
        Block::List(items) => items.iter().map(|item| paragraph(item, "- ")).collect(),
        Block::Code(code) => format!("  {}\n", escape::terminal(code)),
        Block::Verdict { verdict, .. } => format!("Verdict: {}\n", verdict.name().to_uppercase()),
        Block::Table(table) => table.to_terminal(width),
        // The short report does not have figures or details.
        Block::Figure(_) | Block::Details(..) => String::new(),
    }
}

/// Returns wrapped lines. The first begins with `mark`; the others are indented by its width.
fn paragraph(text: &str, mark: &str, width: usize) -> String {
    let indent = " ".repeat(mark.len());
    let lines = escape::wrapped(text, width.saturating_sub(mark.len())).into_iter().enumerate();
    lines.map(|(i, line)| format!("{}{line}\n", if i == 0 { mark } else { &indent })).collect()
}
