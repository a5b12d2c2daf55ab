//! Tables of one policy under several variants: time of eviction, positions of keys, KV format and form.

use super::difference_table::{Cell, DifferenceTable};
use super::measure::Measure;
use super::quantity::difference;
use super::slice::{Slice, heading};
use crate::policies::explain_marks;
use crate::table::Table;
use crate::unique;
use bitkv_record::{Axes, GridRow};

/// Returns the table of a measure of every policy under every variant, in groups by budget.
pub(super) fn side_by_side(slices: &[Slice<'_>], caption: &str, measure: &Measure) -> Table {
    let table =
        Table::with_number_columns(format!("{caption}: {}", measure.title()), "policy", labels(slices));
    let cell = |_: &[&GridRow], rows: &[&GridRow]| Cell::Text(measure.cell(rows));
    fill(table, &[(String::new(), slices)], cell, 0)
}

/// Returns the table of every variant minus the first, in groups by task and budget, with a verdict on each
/// if there is a margin of equivalence. Returns `None` if no policy has both.
pub(super) fn differences(
    groups: &[(String, Vec<Slice<'_>>)],
    caption: &str,
    measure: &Measure,
    margin: Option<f64>,
) -> Option<Table> {
    let (_, first) = groups.first()?;
    let labels = labels(first);
    let (reference, others) = labels.split_first()?;
    let caption =
        format!("{caption}: {}", measure.difference_title(&format!("the same policy with {reference}")));
    let titles = others
        .iter()
        .flat_map(|label| [label.clone()].into_iter().chain(margin.map(|_| format!("verdict on {label}"))));
    let table = Table::with_number_columns(caption, "policy", titles);
    let groups: Vec<(String, &[Slice<'_>])> =
        groups.iter().map(|(label, slices)| (label.clone(), &slices[..])).collect();
    let cell = |first: &[&GridRow], rows: &[&GridRow]| {
        Cell::new(*measure, difference(rows, first, measure.quantity), margin)
    };
    fill(table, &groups, cell, 1).unless_empty()
}

/// Returns the label of every variant: the axes in which they differ.
fn labels(slices: &[Slice<'_>]) -> Vec<String> {
    let all: Vec<Axes> = slices.iter().map(|slice| slice.axes).collect();
    all.iter().map(|axes| axes.label(&all)).collect()
}

/// Returns the table with the rows by group, budget and policy. `cell` receives the rows of the first
/// variant and those of each variant from the index `from`.
fn fill(
    table: Table,
    groups: &[(String, &[Slice<'_>])],
    cell: impl Fn(&[&GridRow], &[&GridRow]) -> Cell,
    from: usize,
) -> Table {
    let mut table = DifferenceTable::new(table);
    for (label, slices) in groups {
        for budget in unique(slices.iter().flat_map(Slice::budgets)) {
            let comma = if label.is_empty() { "" } else { ", " };
            table.group(format!("{label}{comma}{}", heading(budget)));
            for (policy, name) in policies(slices) {
                let rows: Vec<Vec<&GridRow>> = slices.iter().map(|slice| slice.at(policy, budget)).collect();
                table.row(name, rows.iter().skip(from).map(|own| cell(&rows[0], own)));
            }
        }
    }
    let mut table = table.finish();
    explain_marks(&mut table);
    table
}

/// Returns the policies of all variants with their marked names, in order of first appearance.
fn policies<'a>(slices: &[Slice<'a>]) -> Vec<(&'a str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    for contender in slices.iter().flat_map(Slice::contenders) {
        if !found.iter().any(|(policy, _)| *policy == contender.policy) {
            found.push((contender.policy, contender.marked()));
        }
    }
    found
}
