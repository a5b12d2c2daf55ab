//! Renders a document as plain text for a terminal.

use crate::block::{Block, Document};
use crate::escape;
use crate::table::LINE_WIDTH;

/// Returns the document as plain text.
pub(crate) fn terminal(document: &Document) -> String {
    let title = escape::terminal(&document.title);
    let mut text = format!("{title}\n{}\n", "=".repeat(title.chars().count()));
    for block in &document.blocks {
        let part = part(block);
        if !part.is_empty() {
            text += "\n";
            text += &part;
        }
    }
    text
}

/// Returns one block as plain text.
fn part(block: &Block) -> String {
    match block {
        Block::Heading(_, title) => format!("== {} ==\n", escape::terminal(title)),
        Block::Text(text) => paragraph(text, ""),
        Block::List(items) => items.iter().map(|item| paragraph(item, "- ")).collect(),
        Block::Code(code) => format!("  {}\n", escape::terminal(code)),
        Block::Verdict { verdict, .. } => format!("Verdict: {}\n", verdict.name().to_uppercase()),
        Block::Table(table) => table.to_terminal(),
        // The short report does not have figures or details.
        Block::Figure(_) | Block::Details(..) => String::new(),
    }
}

/// Returns wrapped lines. The first begins with `mark`; the others are indented by its width.
fn paragraph(text: &str, mark: &str) -> String {
    let indent = " ".repeat(mark.len());
    let lines = escape::wrapped(text, LINE_WIDTH - mark.len()).into_iter().enumerate();
    lines.map(|(i, line)| format!("{}{line}\n", if i == 0 { mark } else { &indent })).collect()
}
