//! Renders blocks as parts of a page.

use crate::block::Block;
use crate::escape::{html as escape, slug};
use crate::table::Table;

/// Returns blocks as HTML. The first table after a heading is open and the others are folded. Figures are for
/// readers without scripts, because the script draws better ones.
pub(super) fn blocks(blocks: &[Block]) -> String {
    let (mut html, mut open) = (String::new(), true);
    for block in blocks {
        html += &match block {
            Block::Heading(_, title) => {
                open = true;
                format!("<h3>{}</h3>\n", escape(title))
            }
            Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
            Block::List(items) => {
                let items: String = items.iter().map(|item| format!("<li>{}</li>\n", escape(item))).collect();
                format!("<ul>\n{items}</ul>\n")
            }
            Block::Code(code) => {
                format!("<pre tabindex=\"0\"><code>{}</code></pre>\n", escape(code))
            }
            Block::Verdict { title, verdict } => {
                let (class, name) = (slug(verdict.name()), verdict.name());
                format!("<p>{}: <span class=\"badge {class}\">{name}</span></p>\n", escape(title))
            }
            Block::Table(own) => table(own, std::mem::take(&mut open)),
            Block::Figure(figure) => {
                let note = escape(&figure.note);
                let caption = format!("<figcaption>{note}</figcaption>");
                format!("<noscript><figure>\n{}{caption}</figure></noscript>\n", figure.svg)
            }
            Block::Details(title, inner) => details(title, false, &self::blocks(inner)),
        };
    }
    html
}

/// Returns a table that folds under its caption.
pub(super) fn table(table: &Table, open: bool) -> String {
    details(table.caption(), open, &table.to_html())
}

/// Returns a part that folds under its title.
fn details(title: &str, open: bool, inner: &str) -> String {
    let open = if open { " open=\"open\"" } else { "" };
    format!("<details{open}>\n<summary>{}</summary>\n{inner}</details>\n", escape(title))
}
