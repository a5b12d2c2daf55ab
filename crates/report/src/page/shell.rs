//! The frame of a page: its style, its navigation, its sections, its data and its script.

use super::figures::Figures;
use crate::escape::{html as escape, slug};

const STYLE: &str = include_str!("page.css");
/// The parts of the script. They share one scope.
const SCRIPT: [&str; 7] = [
    include_str!("script/elements.js"),
    include_str!("script/chart.js"),
    include_str!("script/forest.js"),
    include_str!("script/heads.js"),
    include_str!("script/tables.js"),
    include_str!("script/ranks.js"),
    include_str!("script/start.js"),
];

/// A section of a page.
pub(super) struct Section {
    title: String,
    html: String,
}

impl Section {
    /// Returns a section with a title and its content.
    pub(super) fn new(title: &str, html: String) -> Self {
        Self { title: title.to_owned(), html }
    }

    /// Returns the anchor. The index distinguishes sections with equal titles.
    fn anchor(&self, index: usize) -> String {
        format!("s{index}-{}", slug(&self.title))
    }
}

/// Returns a whole page. `rows` are packed rows, if the page has some.
pub(super) fn page(
    title: &str,
    head: &str,
    sections: &[Section],
    figures: &Figures,
    rows: Option<&str>,
) -> String {
    let title = escape(title);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#content\">Skip to the sections</a>\n{head}"
    );
    html += &navigation(sections);
    html += "<main id=\"content\">\n<noscript><p>The figures that can be changed, and the single rows, need \
             scripts. Without them, the page has all tables and fixed figures.</p></noscript>\n";
    for (i, section) in sections.iter().enumerate() {
        let anchor = section.anchor(i);
        html += &format!(
            "<section aria-labelledby=\"{anchor}\">\n<h2 id=\"{anchor}\">{}</h2>\n{}</section>\n",
            escape(&section.title),
            section.html
        );
    }
    html += "</main>\n<output id=\"tip\" role=\"status\" hidden=\"hidden\"></output>\n";
    html += &format!("<script type=\"application/json\" id=\"figures\">{}</script>\n", figures.json());
    if let Some(rows) = rows {
        html += &format!("<script type=\"application/gzip\" id=\"packed-rows\">{rows}</script>\n");
    }
    html += &format!("<script>\n\"use strict\";\n(() => {{\n{}}})();\n</script>\n", SCRIPT.concat());
    html + "</body>\n</html>\n"
}

/// Returns the links to the sections.
fn navigation(sections: &[Section]) -> String {
    let link = |(i, section): (usize, &Section)| {
        format!("<li><a href=\"#{}\">{}</a></li>\n", section.anchor(i), escape(&section.title))
    };
    let links: String = sections.iter().enumerate().map(link).collect();
    format!("<nav aria-label=\"Sections\">\n<ul>\n{links}</ul>\n</nav>\n")
}
