//! A report as a list of blocks, and its three forms.

use crate::claims::Verdict;
use crate::table::Table;
use crate::{Run, escape, render, sections};

/// A report before it has a form.
pub(crate) struct Document {
    pub(crate) title: String,
    pub(crate) blocks: Vec<Block>,
}

/// One part of a report.
pub(crate) enum Block {
    /// A heading of level 2 or 3.
    Heading(u8, String),
    /// A paragraph.
    Text(String),
    /// A list of sentences.
    List(Vec<String>),
    /// A command line.
    Code(String),
    /// What became of a claim.
    Verdict { title: String, verdict: Verdict },
    /// A table.
    Table(Table),
    /// A figure.
    Figure(Figure),
    /// Particulars that most readers skip: folded in HTML.
    Details(String, Vec<Block>),
}

/// An image with its words.
pub(crate) struct Figure {
    /// File name without extension, and anchor; unique in a document.
    pub(crate) id: String,
    /// Its title, which the image shows too.
    pub(crate) caption: String,
    /// How it is to be read; may be empty.
    pub(crate) note: String,
    pub(crate) svg: String,
}

impl Document {
    /// The whole report: what a reader wants to know first comes first.
    fn new(run: &Run<'_>) -> Self {
        Self::of(sections::title(run), sections::whole(run))
    }

    /// A document whose figures have names.
    pub(crate) fn of(title: String, mut blocks: Vec<Block>) -> Self {
        name_figures(&mut blocks, &mut Vec::new());
        Self { title, blocks }
    }

    /// The figures that the Markdown form refers to: path beside it, and SVG.
    pub(crate) fn figures(self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        collect_figures(self.blocks, &mut found);
        found
    }
}

fn collect_figures(blocks: Vec<Block>, found: &mut Vec<(String, String)>) {
    for block in blocks {
        match block {
            Block::Figure(figure) => found.push((render::figure_path(&figure.id), figure.svg)),
            Block::Details(_, inner) => collect_figures(inner, found),
            _ => {}
        }
    }
}

/// Gives figures whose captions come out alike different names.
fn name_figures(blocks: &mut [Block], taken: &mut Vec<String>) {
    for block in blocks {
        match block {
            Block::Details(_, inner) => name_figures(inner, taken),
            Block::Figure(figure) => {
                let base = escape::slug(&figure.caption);
                let mut id = base.clone();
                let mut n = 2;
                while taken.contains(&id) {
                    id = format!("{base}-{n}");
                    n += 1;
                }
                taken.push(id.clone());
                figure.id = id;
            }
            _ => {}
        }
    }
}

/// The report in short as plain text for a terminal: verdicts and key numbers of claims, then of each experiment the
/// self-check, the failures, and KL, agreement and answers by policy and budget. The rest stands in the other two forms.
pub fn render_terminal(run: &Run<'_>) -> String {
    render::terminal(&Document { title: sections::title(run), blocks: sections::brief(run) })
}

/// The report as Markdown; it refers to the files that [`figures`] gives.
pub fn render_markdown(run: &Run<'_>) -> String {
    render::markdown(&Document::new(run))
}

/// The report as one HTML page that needs nothing else: no scripts, no fonts, no files.
pub fn render_html(run: &Run<'_>) -> String {
    render::html(&Document::new(run))
}

/// The figures that the Markdown report refers to: path beside the report, and SVG.
pub fn figures(run: &Run<'_>) -> Vec<(String, String)> {
    Document::new(run).figures()
}

/// All files of a report with their names beside the rows: figures, Markdown, HTML and, where the definition asks for
/// claims, `verification.json`.
pub fn files(run: &Run<'_>) -> Vec<(String, String)> {
    let document = Document::new(run);
    let texts = [("report.md", render::markdown(&document)), ("report.html", render::html(&document))];
    let mut files = document.figures();
    files.extend(texts.map(|(name, text)| (name.to_owned(), text)));
    if !run.definition.claims.is_empty() {
        files.push(("verification.json".into(), crate::claims::verification(run).to_json()));
    }
    files
}
