//! One policy under several variants: when caches are cut, where keys stand, how they are stored, which network runs.

use super::measure::{DIFFERENCES, Measure, marked};
use super::quantity::difference;
use super::slice::{Slice, heading};
use crate::policies::explain_marks;
use crate::table::Table;
use crate::unique::unique;
use bitkv_record::{Axes, GridRow};

/// A measure of every policy under every variant, in groups by budget.
pub(super) fn side_by_side(slices: &[Slice<'_>], caption: &str, measure: &Measure) -> Table {
    let mut table = Table::of_numbers(format!("{caption}: {}", measure.title()), "policy", labels(slices));
    let seed = slices.first().map_or(0, |slice| slice.seed);
    fill(&mut table, &[(String::new(), slices)], |_, rows| measure.cell(rows, seed), 0);
    table
}

/// Every variant less the first, in groups by what is scored and by budget; none where no policy has both.
pub(super) fn differences(
    groups: &[(String, Vec<Slice<'_>>)],
    caption: &str,
    measure: &Measure,
) -> Option<Table> {
    let (_, first) = groups.first()?;
    let seed = first.first()?.seed;
    let labels = labels(first);
    let (reference, others) = labels.split_first()?;
    let caption = format!("{caption}: {}", measure.less(&format!("the same policy with {reference}")));
    let mut table = Table::of_numbers(caption, "policy", others);
    let groups: Vec<(String, &[Slice<'_>])> =
        groups.iter().map(|(label, slices)| (label.clone(), &slices[..])).collect();
    let cell = |first: &[&GridRow], rows: &[&GridRow]| {
        marked(difference(rows, first, measure.quantity, seed), measure)
    };
    fill(&mut table, &groups, cell, 1);
    table.note(DIFFERENCES);
    table.unless_empty()
}

fn labels(slices: &[Slice<'_>]) -> Vec<String> {
    let all: Vec<Axes> = slices.iter().map(|slice| slice.axes).collect();
    all.iter().map(|axes| axes.label(&all)).collect()
}

/// Rows by group, budget and policy; `cell` is given the rows of the first variant and those of each from `from` on.
fn fill(
    table: &mut Table,
    groups: &[(String, &[Slice<'_>])],
    cell: impl Fn(&[&GridRow], &[&GridRow]) -> String,
    from: usize,
) {
    for (label, slices) in groups {
        for budget in unique(slices.iter().flat_map(Slice::budgets)) {
            let comma = if label.is_empty() { "" } else { ", " };
            table.group(format!("{label}{comma}{}", heading(budget)));
            for (policy, name) in policies(slices) {
                let rows: Vec<Vec<&GridRow>> = slices.iter().map(|slice| slice.at(policy, budget)).collect();
                table.row_if_any(name, rows.iter().skip(from).map(|own| cell(&rows[0], own)));
            }
        }
    }
    explain_marks(table);
}

/// The policies of all variants with their names, in the order of the first that has each.
fn policies<'a>(slices: &[Slice<'a>]) -> Vec<(&'a str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    for contender in slices.iter().flat_map(Slice::contenders) {
        if !found.iter().any(|(policy, _)| *policy == contender.policy) {
            found.push((contender.policy, contender.marked()));
        }
    }
    found
}
