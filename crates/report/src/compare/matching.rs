//! Matches the cells of two runs.

use super::CompareError;
use crate::experiment::base_model_name;
use bitkv_record::{Axes, GridRow, ScoredTask};
use std::collections::HashMap;

/// What identifies a cell, without its text and seed. The budget is compared as text, which is exact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Cell<'a> {
    names: [&'a str; 3],
    budget: String,
    axes: Axes,
    task: ScoredTask,
}

impl<'a> Cell<'a> {
    /// Returns the cell that a row belongs to.
    fn new(row: &'a GridRow) -> Self {
        Self {
            // Format 1 marks the form in another way, and the axes also have it.
            names: [&row.experiment, base_model_name(&row.model), &row.policy],
            budget: row.budget.to_string(),
            axes: row.axes,
            task: row.task,
        }
    }
}

/// What identifies a row in two runs, without the length of its context: cell, seed, text and depth.
type Identity<'a> = (Cell<'a>, u64, &'a str, Option<u64>);

/// Returns what identifies a row in two runs.
fn identity(row: &GridRow) -> Identity<'_> {
    (Cell::new(row), row.seed, &row.text, row.depth.map(f64::to_bits))
}

/// Returns the rows of cells that both runs have, in the order of the first run. Rows that a run has more
/// than once are matched one to one, in order.
pub(super) fn pairs<'a>(a: &'a [GridRow], b: &'a [GridRow]) -> Vec<(&'a GridRow, &'a GridRow)> {
    let mut others: HashMap<(Identity<'a>, usize), Vec<&GridRow>> = HashMap::new();
    for row in b {
        others.entry((identity(row), row.context_tokens)).or_default().push(row);
    }
    let mut take_match = |row: &'a GridRow| {
        let found = others.get_mut(&(identity(row), row.context_tokens))?;
        let index = found.iter().position(|other| scored_alike(row, other))?;
        Some(found.remove(index))
    };
    a.iter().filter_map(|row| Some((row, take_match(row)?))).collect()
}

/// Returns whether both rows scored equally many tokens and questions, or one of them failed and scored
/// nothing.
fn scored_alike(a: &GridRow, b: &GridRow) -> bool {
    let failed = a.error.is_some() || b.error.is_some();
    failed || (a.targets, a.questions) == (b.targets, b.questions)
}

/// Groups pairs by cell, in order of first appearance.
pub(super) fn by_cell(pairs: &[(GridRow, GridRow)]) -> Vec<Vec<(&GridRow, &GridRow)>> {
    let mut groups: Vec<Vec<_>> = Vec::new();
    let mut indices = HashMap::new();
    for (a, b) in pairs {
        let index = *indices.entry(Cell::new(a)).or_insert(groups.len());
        if index == groups.len() {
            groups.push(Vec::new());
        }
        groups[index].push((a, b));
    }
    groups
}

/// Returns the error that says why nothing matches.
pub(super) fn refusal((a, rows_a): (&str, &[GridRow]), (b, rows_b): (&str, &[GridRow])) -> CompareError {
    let others: HashMap<Identity<'_>, &GridRow> = rows_b.iter().map(|row| (identity(row), row)).collect();
    let other = rows_a.iter().find_map(|row| Some((row, *others.get(&identity(row))?)));
    let (a, b) = (a.to_owned(), b.to_owned());
    let Some((own, other)) = other else { return CompareError::NothingMatches { a, b } };
    let text = own.text.clone();
    match (own.context_tokens, other.context_tokens) {
        (length_a, length_b) if length_a != length_b => {
            CompareError::Contexts { a, b, text, length_a, length_b }
        }
        _ => CompareError::Scored { a, b, text, scored_a: scored(own), scored_b: scored(other) },
    }
}

/// Returns what a row scored, in words.
fn scored(row: &GridRow) -> String {
    match row.task {
        ScoredTask::TEXT => format!("{} tokens", row.targets),
        _ => format!("{} questions of {} tokens", row.questions, row.targets),
    }
}
