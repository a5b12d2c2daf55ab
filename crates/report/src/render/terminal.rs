//! Plain text.

use crate::block::{Block, Document};
use crate::escape;
use crate::table::LINE_WIDTH;

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

fn part(block: &Block) -> String {
    match block {
        Block::Heading(_, title) => format!("== {} ==\n", escape::terminal(title)),
        Block::Text(text) => paragraph(text, ""),
        Block::List(items) => items.iter().map(|item| paragraph(item, "- ")).collect(),
        Block::Code(code) => format!("  {}\n", escape::terminal(code)),
        Block::Verdict { verdict, .. } => format!("Verdict: {}\n", verdict.name().to_uppercase()),
        Block::Table(table) => table.to_terminal(),
        // The brief document has none of these.
        Block::Figure(_) | Block::Details(..) => String::new(),
    }
}

/// Wrapped lines behind a mark, the later ones indented as far.
fn paragraph(text: &str, mark: &str) -> String {
    let indent = " ".repeat(mark.len());
    let lines = escape::wrapped(text, LINE_WIDTH - mark.len()).into_iter().enumerate();
    lines.map(|(i, line)| format!("{}{line}\n", if i == 0 { mark } else { &indent })).collect()
}
