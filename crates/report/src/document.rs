//! The report of a run as text, Markdown and HTML, and its files.

use crate::block::Document;
use crate::{Run, claims, kinds, page, render, sections};

/// Returns the full report.
fn full_report(run: &Run<'_>) -> Document {
    kinds::mark(Document::new(sections::title(run), sections::full(run)), run)
}

/// Returns a short report as plain text for a terminal of `width` characters. It has the verdicts and key
/// numbers of the claims, and for each experiment the self-check, the failures, and KL, agreement and right
/// answers by policy and budget. The other two forms have everything.
pub fn render_terminal(run: &Run<'_>, width: usize) -> String {
    let document = Document { title: sections::title(run), blocks: sections::brief(run) };
    render::terminal(&kinds::mark(document, run), width)
}

/// Returns the full report as Markdown. It refers to the files that [`figures`] returns.
pub fn render_markdown(run: &Run<'_>) -> String {
    render::markdown(&full_report(run))
}

/// Returns the full report as one HTML page that needs no network, no fonts and no other files.
pub fn render_html(run: &Run<'_>) -> String {
    page::html(run)
}

/// Returns the figures that the Markdown report refers to: each path, relative to the report, with its SVG.
pub fn figures(run: &Run<'_>) -> Vec<(String, String)> {
    full_report(run).figures()
}

/// Returns all files of a report, with their names in the run folder: figures, Markdown, HTML and, if the
/// definition has claims, `verification.json`.
pub fn files(run: &Run<'_>) -> Vec<(String, String)> {
    // The page and the Markdown report take equally long, and neither needs the other.
    let (mut files, page) = std::thread::scope(|scope| {
        let page = scope.spawn(|| page::html(run));
        let document = full_report(run);
        let markdown = ("report.md".to_owned(), render::markdown(&document));
        let mut files = document.figures();
        files.push(markdown);
        (files, page.join())
    });
    let page = page.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    files.push(("report.html".into(), page));
    if !run.definition.claims.is_empty() {
        files.push(("verification.json".into(), claims::verification(run).to_json()));
    }
    files
}
