//! Renders a document as one self-contained HTML page.

use crate::block::{Block, Document};
use crate::escape::{html as escape, slug};
use crate::verdict::Verdict;

const STYLE: &str = include_str!("style.css");

/// Returns the document as an HTML page.
pub(crate) fn html(document: &Document) -> String {
    let title = escape(&document.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    // The summary comes before the contents, because most readers need only the summary.
    let is_heading = |block: &Block| matches!(block, Block::Heading(..));
    let summary = document.blocks.iter().position(is_heading).unwrap_or(document.blocks.len());
    push(&mut page, &document.blocks[..summary], 0);
    page += &contents(&document.blocks);
    push(&mut page, &document.blocks[summary..], summary);
    page += "</main>\n</body>\n</html>\n";
    page
}

/// Returns the links to the sections.
fn contents(blocks: &[Block]) -> String {
    let link = |(i, block): (usize, &Block)| match block {
        Block::Heading(2, title) => {
            Some(format!("<li><a href=\"#{}\">{}</a></li>\n", anchor(i, title), escape(title)))
        }
        _ => None,
    };
    let links: String = blocks.iter().enumerate().filter_map(link).collect();
    format!("<nav aria-label=\"Contents\">\n<ul>\n{links}</ul>\n</nav>\n")
}

/// Returns the anchor of a section. The index distinguishes sections with equal titles.
fn anchor(index: usize, title: &str) -> String {
    format!("s{index}-{}", slug(title))
}

/// Appends blocks. `first` is the index of the first block in the document. Neighbouring figures share a row.
fn push(page: &mut String, blocks: &[Block], first: usize) {
    let is_figure = |i: usize| matches!(blocks.get(i), Some(Block::Figure(_)));
    for (i, block) in blocks.iter().enumerate() {
        if is_figure(i) && (i == 0 || !is_figure(i - 1)) {
            *page += "<div class=\"figures\">\n";
        }
        *page += &rendered(block, first + i);
        if is_figure(i) && !is_figure(i + 1) {
            *page += "</div>\n";
        }
    }
}

/// Returns one block as HTML.
fn rendered(block: &Block, index: usize) -> String {
    match block {
        Block::Heading(2, title) => format!("<h2 id=\"{}\">{}</h2>\n", anchor(index, title), escape(title)),
        Block::Heading(_, title) => format!("<h3>{}</h3>\n", escape(title)),
        Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
        Block::List(items) => {
            let items: String = items.iter().map(|item| format!("<li>{}</li>\n", escape(item))).collect();
            format!("<ul>\n{items}</ul>\n")
        }
        Block::Code(code) => format!("<pre><code>{}</code></pre>\n", escape(code)),
        Block::Verdict { title, verdict } => verdict_box(title, *verdict),
        Block::Table(table) => table.to_html(),
        Block::Figure(figure) => format!(
            "<figure id=\"{}\">\n{}<figcaption>{}</figcaption>\n</figure>\n",
            escape(&figure.id),
            figure.svg,
            escape(&figure.note),
        ),
        Block::Details(title, inner) => {
            let mut details = format!("<details>\n<summary>{}</summary>\n", escape(title));
            push(&mut details, inner, 0);
            details + "</details>\n"
        }
    }
}

/// Returns the box of a verdict. Its colour only repeats its words.
fn verdict_box(title: &str, verdict: Verdict) -> String {
    let class = slug(verdict.name());
    format!(
        "<p class=\"verdict {class}\" role=\"note\" aria-label=\"Verdict on: {}\"><strong>Verdict: {}</strong></p>\n",
        escape(title),
        verdict.name()
    )
}
