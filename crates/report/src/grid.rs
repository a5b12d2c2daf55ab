//! The report of a grid: policies by budget, each with its interval over texts and beside its controls.

mod baseline;
mod chart;
mod failures;
mod forms;
mod limits;
mod matrix;
mod measure;
mod pairs;
mod profiles;
mod quantity;
mod retrieval;
mod sections;
mod slice;
mod timing;
mod units;
mod variants;

pub(crate) use quantity::{Quantity, by_text};
pub(crate) use units::unit;

use crate::document::Document;
use crate::render;
use bitkv_record::{Definition, GridRow, HeadRow, Manifest, TimingRow};

/// Everything the report of a grid is made of.
#[derive(Debug, Clone, Copy)]
pub struct GridInput<'a> {
    /// What was asked.
    pub definition: &'a Definition,
    /// What was run.
    pub manifest: &'a Manifest,
    /// What came out, failures included.
    pub rows: &'a [GridRow],
    /// What it cost; may be empty.
    pub timings: &'a [TimingRow],
    /// Entropies of heads, of the profiles of the definition; may be empty.
    pub heads: &'a [HeadRow],
    /// The run folder, where there is one.
    pub run: Option<&'a str>,
}

/// The report in short for a terminal: for each experiment the self-check, the failures and KL by policy and budget.
pub fn render_grid_terminal(input: &GridInput<'_>) -> String {
    render::terminal(&Document::of(sections::title(input), sections::brief(input)))
}

/// The report as Markdown; it refers to the files that [`grid_figures`] gives.
pub fn render_grid_markdown(input: &GridInput<'_>) -> String {
    render::markdown(&document(input))
}

/// The report as one HTML page that needs nothing else.
pub fn render_grid_html(input: &GridInput<'_>) -> String {
    render::html(&document(input))
}

/// The figures that the Markdown report refers to: path beside the report, and SVG.
pub fn grid_figures(input: &GridInput<'_>) -> Vec<(String, String)> {
    document(input).figures()
}

fn document(input: &GridInput<'_>) -> Document {
    Document::of(sections::title(input), sections::whole(input))
}
