//! Which cells of two runs are the same.

use super::CompareError;
use bitkv_record::{GridRow, KvFormat, Positions, ScoredTask};
use std::collections::{HashMap, VecDeque};

/// What a cell is of, text and seed aside. Budgets and times of cutting are compared by their text, which is exact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Cell<'a> {
    names: [&'a str; 3],
    form: bitkv_record::Form,
    budget: String,
    when: bitkv_record::When,
    positions: Positions,
    kv: KvFormat,
    task: ScoredTask,
}

impl<'a> Cell<'a> {
    fn of(row: &'a GridRow) -> Self {
        Self {
            names: [&row.experiment, &row.model, &row.policy],
            form: row.form,
            budget: row.budget.to_string(),
            when: row.when,
            positions: row.positions,
            kv: row.kv,
            task: row.task,
        }
    }
}

/// What makes a row the same in two runs, but for the length of its context.
type Identity<'a> = (Cell<'a>, u64, &'a str, Option<u64>);

fn identity(row: &GridRow) -> Identity<'_> {
    (Cell::of(row), row.seed, &row.text, row.depth.map(f64::to_bits))
}

/// The rows of cells that both runs have, in the order of the first. Rows that a run has more than once are matched one
/// to one, in order.
pub(super) fn pairs<'a>(a: &'a [GridRow], b: &'a [GridRow]) -> Vec<(&'a GridRow, &'a GridRow)> {
    let mut others: HashMap<(Identity<'a>, usize), VecDeque<&GridRow>> = HashMap::new();
    for row in b {
        others.entry((identity(row), row.context_tokens)).or_default().push_back(row);
    }
    let mut other = |row: &'a GridRow| others.get_mut(&(identity(row), row.context_tokens))?.pop_front();
    a.iter().filter_map(|row| Some((row, other(row)?))).collect()
}

/// Pairs by cell, in order of first appearance.
pub(super) fn by_cell<'a>(pairs: &[(&'a GridRow, &'a GridRow)]) -> Vec<Vec<(&'a GridRow, &'a GridRow)>> {
    let mut groups: Vec<Vec<_>> = Vec::new();
    let mut places = HashMap::new();
    for (a, b) in pairs {
        let place = *places.entry(Cell::of(a)).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push((*a, *b));
    }
    groups
}

/// Why nothing matches.
pub(super) fn refusal((a, rows_a): (&str, &[GridRow]), (b, rows_b): (&str, &[GridRow])) -> CompareError {
    let lengths: HashMap<Identity<'_>, usize> =
        rows_b.iter().map(|row| (identity(row), row.context_tokens)).collect();
    let other = rows_a.iter().find_map(|row| Some((row, *lengths.get(&identity(row))?)));
    let (a, b) = (a.to_owned(), b.to_owned());
    match other {
        Some((row, length_b)) => {
            CompareError::Contexts { a, b, text: row.text.clone(), length_a: row.context_tokens, length_b }
        }
        None => CompareError::NothingMatches { a, b },
    }
}
