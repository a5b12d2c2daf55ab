//! Tables whose cells carry tests. The p-values are corrected for the number of comparisons in the table, so
//! a table is printed only when all of its cells are known.

use crate::table::Table;
use bitkv_stats::holm;

/// The largest corrected p-value that counts as significant.
pub(super) const LEVEL: f64 = 0.05;

/// A table that is not printed yet, with cells of type `C`.
pub(super) struct TestedTable<C> {
    table: Table,
    lines: Vec<Line<C>>,
}

enum Line<C> {
    Group(String),
    Row(String, Vec<C>),
}

/// A cell with its place.
pub(super) struct Entry<'t, C> {
    pub(super) group: &'t str,
    pub(super) row: &'t str,
    pub(super) column: usize,
    pub(super) cell: &'t C,
}

impl<C> TestedTable<C> {
    /// Adds rows to a table that has only a caption and columns.
    pub(super) fn new(table: Table) -> Self {
        Self { table, lines: Vec::new() }
    }

    /// Begins a group.
    pub(super) fn group(&mut self, label: impl Into<String>) {
        self.lines.push(Line::Group(label.into()));
    }

    /// Adds a row. It is not shown if all of its cells are missing.
    pub(super) fn row(&mut self, name: String, cells: impl IntoIterator<Item = C>) {
        self.lines.push(Line::Row(name, cells.into_iter().collect()));
    }

    /// Returns all cells, row by row.
    pub(super) fn cells(&self) -> impl Iterator<Item = &C> {
        self.lines.iter().flat_map(|line| match line {
            Line::Group(_) => &[][..],
            Line::Row(_, cells) => cells,
        })
    }

    /// Returns each cell with the labels of its group and of its row, and its column.
    pub(super) fn entries(&self) -> Vec<Entry<'_, C>> {
        let (mut group, mut found) = ("", Vec::new());
        for line in &self.lines {
            match line {
                Line::Group(label) => group = label,
                Line::Row(row, cells) => {
                    let entry = |(column, cell)| Entry { group, row, column, cell };
                    found.extend(cells.iter().enumerate().map(entry));
                }
            }
        }
        found
    }

    /// Returns Holm's corrected p-value of each cell; `None` if the cell is not tested. `test` returns the
    /// name of a cell's measure and its p-value. The comparisons of one measure are corrected together.
    pub(super) fn corrected(&self, test: impl Fn(&C) -> Option<(&'static str, f64)>) -> Vec<Option<f64>> {
        let raw: Vec<Option<(&str, f64)>> = self.cells().map(test).collect();
        let mut all = vec![None; raw.len()];
        for measure in crate::unique(raw.iter().flatten().map(|(measure, _)| *measure)) {
            let own = raw.iter().enumerate().filter_map(|(i, found)| Some((i, (*found)?)));
            let own: Vec<(usize, f64)> =
                own.filter(|(_, (name, _))| *name == measure).map(|(i, (_, p))| (i, p)).collect();
            let p = holm(&own.iter().map(|(_, p)| *p).collect::<Vec<_>>());
            own.iter().zip(p).for_each(|((i, _), p)| all[*i] = Some(p));
        }
        all
    }

    /// Returns the printed table. `print` returns the columns of a cell, whose index is its place among all
    /// cells.
    pub(super) fn print(self, print: impl Fn(&C, usize) -> Vec<String>) -> Table {
        let Self { mut table, lines } = self;
        let mut first = 0;
        for line in lines {
            match line {
                Line::Group(label) => table.group(label),
                Line::Row(name, cells) => {
                    let printed = cells.iter().enumerate().flat_map(|(i, cell)| print(cell, first + i));
                    table.row_if_any(name, printed.collect::<Vec<_>>());
                    first += cells.len();
                }
            }
        }
        table
    }
}

/// Returns whether a corrected p-value is small enough.
pub(super) fn is_significant(p: Option<f64>) -> bool {
    p.is_some_and(|p| p < LEVEL)
}
