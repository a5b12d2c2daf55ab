//! A report before it is rendered: a title and a list of blocks.

use crate::curve::Chart;
use crate::escape;
use crate::heat_map::HeatMap;
use crate::table::Table;
use crate::verdict::Verdict;

/// A report before it is rendered as HTML, Markdown or text.
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
    /// The verdict on a claim.
    Verdict { title: String, verdict: Verdict },
    /// A table.
    Table(Table),
    /// A figure.
    Figure(Figure),
    /// Details that most readers skip, with a title. HTML shows them folded.
    Details(String, Vec<Block>),
}

/// An image with its caption and its note.
pub(crate) struct Figure {
    /// The file name without its extension, and the anchor; unique in a document.
    pub(crate) id: String,
    /// The title, which the image also shows.
    pub(crate) caption: String,
    /// A sentence that says how to read the image; may be empty.
    pub(crate) note: String,
    /// The image as SVG.
    pub(crate) svg: String,
}

impl Document {
    /// Returns a document and gives each figure a unique name.
    pub(crate) fn new(title: String, mut blocks: Vec<Block>) -> Self {
        name_figures(&mut blocks, &mut Vec::new());
        Self { title, blocks }
    }

    /// Returns the figures that the Markdown report refers to: each path, relative to the report, with its
    /// SVG.
    pub(crate) fn figures(self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        collect_figures(self.blocks, &mut found);
        found
    }
}

/// Moves the figures of the blocks into `found`.
fn collect_figures(blocks: Vec<Block>, found: &mut Vec<(String, String)>) {
    for block in blocks {
        match block {
            Block::Figure(figure) => found.push((figure_path(&figure.id), figure.svg)),
            Block::Details(_, inner) => collect_figures(inner, found),
            _ => {}
        }
    }
}

/// Names the figures after their captions, with a number if a name is taken.
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

/// Returns the path of a figure, relative to the report.
pub(crate) fn figure_path(id: &str) -> String {
    format!("figures/{id}.svg")
}

/// Returns the paragraphs of a text, which empty lines divide.
pub(crate) fn paragraphs(text: &str) -> Vec<Block> {
    let parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    parts.filter(|part| !part.is_empty()).map(Block::Text).collect()
}

/// Returns a heat map as a figure.
pub(crate) fn heat_map_figure(map: &HeatMap) -> Block {
    figure(&map.title, format!("{}.", map.description()), map.to_svg())
}

/// Returns a chart as a figure. Its note explains the marks and ends with `remark`.
pub(crate) fn chart_figure(chart: &Chart, remark: &str) -> Block {
    let sentences = [chart.explanation(), remark.to_owned()];
    let note = sentences.into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ");
    figure(&chart.title, note, chart.to_svg())
}

/// Returns a figure that has no name yet.
fn figure(caption: &str, note: String, svg: String) -> Block {
    Block::Figure(Figure { id: String::new(), caption: caption.to_owned(), note, svg })
}
