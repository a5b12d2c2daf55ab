//! A report as a list of blocks.

use crate::claims::Verdict;
use crate::escape;
use crate::table::Table;

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

impl Figure {
    /// Where it lies, seen from the report.
    pub(crate) fn path(&self) -> String {
        format!("figures/{}.svg", self.id)
    }
}

impl Document {
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
            Block::Figure(figure) => found.push((figure.path(), figure.svg)),
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
