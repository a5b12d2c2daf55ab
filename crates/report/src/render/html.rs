//! One self-contained HTML page.

use crate::document::{Block, Document};
use crate::escape::{html as escape, slug};
use bitkv_record::Verdict;

const STYLE: &str = include_str!("style.css");

pub(crate) fn html(document: &Document) -> String {
    let title = escape(&document.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    page += &contents(&document.blocks);
    push(&mut page, &document.blocks);
    page += "</main>\n</body>\n</html>\n";
    page
}

/// Links to the sections.
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

/// The place in the list keeps anchors of equal titles apart.
fn anchor(index: usize, title: &str) -> String {
    format!("s{index}-{}", slug(title))
}

fn push(page: &mut String, blocks: &[Block]) {
    for (i, block) in blocks.iter().enumerate() {
        *page += &match block {
            Block::Heading(2, title) => format!("<h2 id=\"{}\">{}</h2>\n", anchor(i, title), escape(title)),
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
                "<figure id=\"{}\">\n<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\">\n{}</div>\n\
                 <figcaption>{caption}</figcaption>\n</figure>\n",
                escape(&figure.id),
                figure.svg,
                caption = escape(&figure.caption),
            ),
            Block::Details(title, inner) => {
                let mut details = format!("<details>\n<summary>{}</summary>\n", escape(title));
                push(&mut details, inner);
                details + "</details>\n"
            }
        };
    }
}

/// The verdict stands in words; its colour only repeats them.
fn verdict_box(title: &str, verdict: Verdict) -> String {
    let class = slug(verdict.name());
    format!(
        "<p class=\"verdict {class}\" role=\"note\" aria-label=\"Verdict on: {}\"><strong>Verdict: {}</strong></p>\n",
        escape(title),
        verdict.name()
    )
}
