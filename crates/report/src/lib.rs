//! Recorded measurements as terminal tables, Markdown and one self-contained HTML page.
//!
//! Nothing here measures: every number comes from the rows of a run, with its interval, or is missing.

mod colour;
mod compare;
pub mod compression;
pub mod curve;
mod document;
mod escape;
mod format;
mod grid;
pub mod heads;
mod heat_map;
mod interval;
pub mod memory;
mod published;
mod render;
mod sections;
mod svg;
mod table;

pub use compare::{
    CompareError, Compared, Comparison, Difference, compare, render_comparison_markdown,
    render_comparison_terminal,
};
pub use document::{figures, render_html, render_markdown, render_terminal};
pub use grid::{GridInput, grid_figures, render_grid_html, render_grid_markdown, render_grid_terminal};
pub use heat_map::HeatMap;
pub use interval::Estimate;
pub use published::{PUBLISHED_HEADS, PublishedHeads};
pub use table::{Align, Table};

use bitkv_record::{CellRow, HeadRow, Manifest, MemoryRow, Verification};

/// Everything a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What was run.
    pub manifest: &'a Manifest,
    /// What came of the claims.
    pub verification: &'a Verification,
    /// Memory by context length.
    pub memory: &'a [MemoryRow],
    /// Entropy by head.
    pub heads: &'a [HeadRow],
    /// Quality by policy, budget and text.
    pub cells: &'a [CellRow],
}

/// Distinct values in order of first appearance.
fn unique<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}
