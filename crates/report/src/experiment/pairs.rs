//! Differences between the pairs of policies that a definition names. These differences decide its question.

use super::baseline::budgets_of;
use super::difference_table::{Cell, DifferenceTable};
use super::flips;
use super::measure::{ACCURACY, AGREEMENT, KEPT, KL, Measure};
use super::slice::Slice;
use crate::difference::Difference;
use crate::format::optional;
use crate::policies::{explain_marks, is_loose};
use crate::table::Table;
use bitkv_record::{Equivalence, Experiment, PolicyText};

/// How to read the tables of pairs.
const READING: &str = "The first policy of a pair is better if its difference is below zero in KL, or above zero in agreement or \
right answers.";

/// A pair of measured policies, with the names that rows have.
struct Pair<'a> {
    a: &'a str,
    b: &'a str,
    label: String,
}

/// Returns the pairs whose policies were both measured, and a sentence for each pair with a policy that was
/// not.
fn measured_pairs<'a>(slice: &Slice<'a>, asked: &[(String, String)]) -> (Vec<Pair<'a>>, Vec<String>) {
    let policies = slice.policies();
    let find_policy = |text: &str| {
        let (asked, _) = PolicyText::new(text).without_seed();
        // A policy matches by its canonical text or as the definition writes it: a preset's name is only in
        // the latter.
        let matches = |text: &str| PolicyText::new(text).without_seed().0 == asked;
        policies.iter().find(|policy| matches(policy) || matches(slice.written(policy))).copied()
    };
    let (mut pairs, mut lacking) = (Vec::new(), Vec::new());
    for (a, b) in asked {
        match (find_policy(a), find_policy(b)) {
            (Some(a), Some(b)) => {
                let label = format!("{} minus {}", slice.contender(a).marked(), slice.contender(b).marked());
                pairs.push(Pair { a, b, label });
            }
            (found, _) => lacking.push(format!(
                "The pair's policy {} was not measured under this text. Rows leave out options at their \
                     defaults.",
                if found.is_none() { a } else { b }
            )),
        }
    }
    (pairs, lacking)
}

/// The pairs of a definition, and the margins within which they are equivalent.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pairs: &'a [(String, String)],
    pub(super) margins: Equivalence,
}

impl<'a> Asked<'a> {
    /// Returns what a definition asks for; nothing without a definition.
    pub(super) fn new(defined: Option<&'a Experiment>) -> Self {
        let margins = defined.and_then(|defined| defined.equivalence).unwrap_or_default();
        Self { pairs: defined.map_or(&[], |defined| &defined.pairs), margins }
    }
}

/// Returns the table of differences on texts, with a group for each pair and a row for each budget: KL,
/// agreement, a verdict for each margin and, if a policy does not keep what was requested, entries kept.
pub(super) fn text_differences(slice: &Slice<'_>, asked: Asked<'_>, caption: &str) -> Option<Table> {
    let (table, lacking) = text_table(slice, asked, caption)?;
    finish(table, lacking)
}

/// Returns the same table before it is printed, with a sentence for each pair that was not measured.
pub(super) fn text_table(
    slice: &Slice<'_>,
    asked: Asked<'_>,
    caption: &str,
) -> Option<(DifferenceTable, Vec<String>)> {
    if asked.pairs.is_empty() {
        return None;
    }
    let (pairs, lacking) = measured_pairs(slice, asked.pairs);
    // If all policies keep what was requested, the difference in entries is not interesting.
    let loose = slice.rows().iter().any(|row| is_loose(row));
    let measures = [(KL, asked.margins.kl), (AGREEMENT, asked.margins.agreement)];
    let mut titles = Vec::new();
    for (measure, margin) in &measures {
        titles.push(measure.difference_heading());
        titles.extend(margin.map(|_| format!("verdict on {}", measure.name())));
    }
    titles.extend(loose.then(|| KEPT.difference_heading()));
    let title = format!("{caption}: pairs of the definition, first minus second [95 % CI]");
    let mut table = DifferenceTable::new(Table::with_number_columns(title, "budget", titles));
    for pair in &pairs {
        table.group(pair.label.clone());
        for budget in slice.budgets() {
            let difference_in = |measure: &Measure| slice.difference([pair.a, pair.b], budget, measure);
            let mut cells = Vec::new();
            for (measure, margin) in &measures {
                cells.push(Cell::new(*measure, difference_in(measure), *margin));
            }
            cells.extend(loose.then(|| kept(difference_in(&KEPT))));
            table.row(budget.to_string(), cells);
        }
    }
    Some((table, lacking))
}

/// Returns the difference in entries kept as a cell. It is not tested, because nothing about it is random.
fn kept(found: Option<Difference>) -> Cell {
    Cell::Text(optional(found.map(|found| found.estimate.value), |value| KEPT.print(value)))
}

/// Returns the tables of differences in right answers and of changed answers, with a group for each pair, a
/// row for each task and a column for each budget.
pub(super) fn task_differences(tasks: &[(String, Slice<'_>)], asked: Asked<'_>, caption: &str) -> Vec<Table> {
    let differences = finish(task_table(tasks, asked, caption), Vec::new());
    differences.into_iter().chain(changed_answers(tasks, asked, caption)).collect()
}

/// Returns the table of differences in right answers before it is printed.
pub(super) fn task_table(tasks: &[(String, Slice<'_>)], asked: Asked<'_>, caption: &str) -> DifferenceTable {
    let budgets = budgets_of(tasks);
    let margin = asked.margins.accuracy;
    let title = format!(
        "{caption}: pairs of the definition, answers right, percentage points, first minus second [95 % CI]"
    );
    let titles = budgets.iter().flat_map(|budget| {
        let verdict = margin.map(|_| format!("verdict at {budget}"));
        [budget.to_string()].into_iter().chain(verdict)
    });
    let mut table = DifferenceTable::new(Table::with_number_columns(title, "task", titles));
    for (label, measured) in pairs_by_task(tasks, asked) {
        table.group(label);
        for (task, slice, pair) in measured {
            let cells = budgets.iter().map(|budget| {
                Cell::new(ACCURACY, slice.difference([pair.a, pair.b], *budget, &ACCURACY), margin)
            });
            table.row(task.to_owned(), cells);
        }
    }
    table
}

/// A pair with the task that it was measured on.
type OnTask<'t, 'a> = (&'t str, &'t Slice<'a>, Pair<'a>);

/// Returns the pairs of the definition that were measured on tasks: the label of each, and where it was
/// measured.
fn pairs_by_task<'t, 'a>(
    tasks: &'t [(String, Slice<'a>)],
    asked: Asked<'_>,
) -> Vec<(String, Vec<OnTask<'t, 'a>>)> {
    let on_task = |own: &(String, String), (task, slice): &'t (String, Slice<'a>)| {
        let (pairs, _) = measured_pairs(slice, std::slice::from_ref(own));
        pairs.into_iter().map(move |pair| (&**task, slice, pair))
    };
    let group = |own| {
        let measured: Vec<OnTask<'t, 'a>> = tasks.iter().flat_map(|task| on_task(own, task)).collect();
        let label = measured.first().map(|(_, _, pair)| pair.label.clone())?;
        Some((label, measured))
    };
    asked.pairs.iter().filter_map(group).collect()
}

/// Returns the table of changed answers, with the same groups, rows and columns, or `None` if it has no rows.
fn changed_answers(tasks: &[(String, Slice<'_>)], asked: Asked<'_>, caption: &str) -> Option<Table> {
    let budgets = budgets_of(tasks);
    let mut changes = flips::PairTable::new(caption, &budgets);
    for (label, measured) in pairs_by_task(tasks, asked) {
        changes.group(&label);
        for (task, slice, pair) in measured {
            changes.row(task, slice, [pair.a, pair.b]);
        }
    }
    changes.finish()
}

/// Adds the notes and returns the table, or `None` if the table has no rows and no pair is missing.
fn finish(table: DifferenceTable, lacking: Vec<String>) -> Option<Table> {
    let mut table = table.finish();
    explain_marks(&mut table);
    table.note(READING);
    let incomplete = !lacking.is_empty();
    lacking.into_iter().for_each(|sentence| table.note(sentence));
    (!table.is_empty() || incomplete).then_some(table)
}
