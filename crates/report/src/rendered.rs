//! The report of a run in its three forms.

use crate::document::Document;
use crate::{Run, claims, render, sections};

/// The report in short as plain text for a terminal: verdicts and key numbers of claims, then of each experiment the
/// self-check, the failures, and KL, agreement and answers by policy and budget. The rest stands in the other two forms.
pub fn render_terminal(run: &Run<'_>) -> String {
    render::terminal(&Document { title: sections::title(run), blocks: sections::brief(run) })
}

/// The report as Markdown; it refers to the files that [`figures`] gives.
pub fn render_markdown(run: &Run<'_>) -> String {
    render::markdown(&whole(run))
}

/// The report as one HTML page that needs nothing else: no scripts, no fonts, no files.
pub fn render_html(run: &Run<'_>) -> String {
    render::html(&whole(run))
}

/// The figures that the Markdown report refers to: path beside the report, and SVG.
pub fn figures(run: &Run<'_>) -> Vec<(String, String)> {
    whole(run).figures()
}

/// All files of a report with their names beside the rows: figures, Markdown, HTML and, where the definition asks for
/// claims, `verification.json`.
pub fn files(run: &Run<'_>) -> Vec<(String, String)> {
    let document = whole(run);
    let texts = [("report.md", render::markdown(&document)), ("report.html", render::html(&document))];
    let mut files = document.figures();
    files.extend(texts.map(|(name, text)| (name.to_owned(), text)));
    if !run.definition.claims.is_empty() {
        files.push(("verification.json".into(), claims::verification(run).to_json()));
    }
    files
}

/// The whole report.
fn whole(run: &Run<'_>) -> Document {
    Document::of(sections::title(run), sections::whole(run))
}
