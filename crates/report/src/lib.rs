//! Turns the rows of a run into statements, verdicts, terminal tables, Markdown and one self-contained HTML
//! page.
//!
//! This crate does not measure anything and opens no model: every number comes from the rows of a run.
//!
//! A caller reads a finished run with [`RecordedRun::read`] and passes its [`Run`] to [`render_terminal`],
//! [`render_markdown`] or [`render_html`], or to [`files`], which returns all files of the report. [`claims`]
//! decides the published claims. [`compare()`] compares two runs cell by cell. [`Table`] is the table that
//! every command prints. [`advice`] chooses a policy, a budget and a KV format for a limit.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod advice;
mod block;
pub mod claims;
mod colour;
mod compare;
pub mod curve;
mod difference;
mod document;
mod escape;
mod experiment;
mod format;
mod heads;
mod heat_map;
mod interval;
mod kinds;
mod leaderboard;
pub mod memory;
mod page;
mod policies;
mod published;
mod render;
mod run;
mod sections;
mod splice;
mod svg;
mod table;
mod verdict;

pub use compare::{
    CompareError, ComparedCell, Comparison, Difference, compare, render_comparison_markdown,
    render_comparison_terminal,
};
pub use document::{figures, files, render_html, render_markdown, render_terminal};
pub use heat_map::HeatMap;
pub use interval::Estimate;
pub use leaderboard::{Leaderboard, ListedRun};
pub use published::{PUBLISHED_HEADS, PublishedHeads};
pub use run::{RecordedRun, Run};
pub use splice::{SpliceError, findings, metrics, splice};
pub use table::{Align, LINE_WIDTH, Table};

/// Returns the distinct values in the order of their first appearance.
fn unique<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}
