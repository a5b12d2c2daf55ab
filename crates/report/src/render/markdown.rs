//! Renders a document as Markdown.

use crate::block::figure_path;
use crate::block::{Block, Document};
use crate::escape;

/// Returns the document as Markdown.
pub(crate) fn markdown(document: &Document) -> String {
    let mut text = format!("# {}\n", escape::markdown(&document.title));
    push(&mut text, &document.blocks);
    text
}

/// Appends blocks.
fn push(text: &mut String, blocks: &[Block]) {
    for block in blocks {
        *text += "\n";
        match block {
            Block::Heading(level, title) => {
                *text += &format!("{} {}\n", "#".repeat((*level).into()), escape::markdown(title));
            }
            Block::Text(paragraph) => *text += &format!("{}\n", escape::markdown(paragraph)),
            Block::List(items) => {
                text.extend(items.iter().map(|item| format!("- {}\n", escape::markdown(item))));
            }
            Block::Code(code) => *text += &fenced(code),
            Block::Verdict { verdict, .. } => *text += &format!("> Verdict: **{}**\n", verdict.name()),
            Block::Table(table) => *text += &table.to_markdown(),
            Block::Figure(figure) => {
                let caption = escape::markdown(&figure.caption).replace(['[', ']'], "");
                *text += &format!("![{caption}]({})\n", figure_path(&figure.id));
                if !figure.note.is_empty() {
                    *text += &format!("\n{}\n", escape::markdown(&figure.note));
                }
            }
            Block::Details(title, inner) => {
                *text += &format!("### {}\n", escape::markdown(title));
                push(text, inner);
            }
        }
    }
}

/// Returns the code in a fence that is longer than any run of backticks in it.
fn fenced(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}sh\n{code}\n{fence}\n")
}
