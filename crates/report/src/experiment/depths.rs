//! Right answers by depth, context length and budget, for the script of a page.

use super::quantity::{Quantity, mean_over_texts};
use super::retrieval::{BANDS, band_titles, in_band};
use super::slice::{Contender, Slice};
use crate::page::data::{DepthData, DepthPanel, DepthPolicy, rounded};
use crate::unique;
use bitkv_record::{AskedBudget, GridRow, TaskKind};
use std::collections::BTreeMap;

/// Returns the maps of an experiment, or `None` if no answer has a depth. `panels` has the slices with their
/// names.
pub(super) fn depths(title: &str, panels: &[(String, Slice<'_>)]) -> Option<DepthData> {
    let panels: Vec<DepthPanel> = panels.iter().flat_map(|(name, slice)| slice_panels(name, slice)).collect();
    let title = format!("{title}: answers right by depth");
    (!panels.is_empty()).then(|| DepthData { title, bands: band_titles().collect(), panels })
}

/// Returns the map of each task of a slice.
fn slice_panels(name: &str, slice: &Slice<'_>) -> Vec<DepthPanel> {
    let asked = slice.rows().iter().filter(|row| row.task.kind != TaskKind::Text && row.depth.is_some());
    let tasks = unique(asked.map(|row| row.task));
    tasks.into_iter().map(|task| panel(format!("{name}: {task}"), &slice.only(task, None))).collect()
}

/// Returns the map of one task.
fn panel(name: String, slice: &Slice<'_>) -> DepthPanel {
    let mut lengths = unique(slice.rows().iter().map(|row| row.context_tokens));
    lengths.sort_unstable();
    let budgets = slice.budgets();
    let columns: Vec<(usize, AskedBudget)> =
        lengths.iter().flat_map(|length| budgets.iter().map(move |budget| (*length, *budget))).collect();
    let policy = |contender: Contender<'_>| {
        let rows: Vec<Vec<&GridRow>> =
            columns.iter().map(|column| rows_at(slice, contender.policy, *column)).collect();
        let band = |band: usize| rows.iter().map(|rows| answers(&in_band(rows, band))).collect();
        DepthPolicy { name: contender.marked(), bands: (0..BANDS).map(band).collect() }
    };
    let title = |(length, budget): &(usize, AskedBudget)| format!("{length} tokens, budget {budget}");
    DepthPanel {
        name,
        columns: columns.iter().map(title).collect(),
        policies: slice.contenders().into_iter().map(policy).collect(),
    }
}

/// Returns the rows of a policy at one context length and budget.
fn rows_at<'a>(slice: &Slice<'a>, policy: &str, (length, budget): (usize, AskedBudget)) -> Vec<&'a GridRow> {
    let rows = slice.at(policy, budget).into_iter();
    rows.filter(|row| row.context_tokens == length).collect()
}

/// Returns the number of questions. If a context was measured with several draws, its questions count once.
fn questions(rows: &[&GridRow]) -> usize {
    let mut draws: BTreeMap<&str, BTreeMap<u64, usize>> = BTreeMap::new();
    for row in rows {
        *draws.entry(&row.text).or_default().entry(row.seed).or_default() += row.questions;
    }
    draws.values().filter_map(|seeds| seeds.values().max()).sum()
}

/// Returns the share of right answers and the number of questions, or `None` if nothing was asked.
fn answers(rows: &[&GridRow]) -> Option<(f64, usize)> {
    let share = mean_over_texts(rows, Quantity::ACCURACY)?;
    Some((rounded(share), questions(rows)))
}
