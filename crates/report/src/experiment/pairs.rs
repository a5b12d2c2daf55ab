//! Differences between the pairs of policies that a definition names. These differences decide its question.

use super::baseline::budgets_of;
use super::measure::{ACCURACY, AGREEMENT, DIFFERENCES, KEPT, KL};
use super::slice::Slice;
use crate::policies::{explain_marks, is_loose};
use crate::table::Table;
use bitkv_record::PolicyText;

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

/// Returns the table of differences on texts, with a group for each pair and a row for each budget: KL,
/// agreement and, if a policy does not keep what was requested, entries kept.
pub(super) fn text_differences(
    slice: &Slice<'_>,
    asked: &[(String, String)],
    caption: &str,
) -> Option<Table> {
    let (pairs, lacking) = measured_pairs(slice, asked);
    let title = format!("{caption}: pairs of the definition, first minus second [95 % CI]");
    let titles = ["KL, nats", "agreement, percentage points", "entries kept, percentage points"];
    // If all policies keep what was requested, the difference in entries is not interesting.
    let loose = slice.rows().iter().any(|row| is_loose(row));
    let shown = if loose { 3 } else { 2 };
    let mut table = Table::with_number_columns(title, "budget", &titles[..shown]);
    for pair in &pairs {
        table.group(pair.label.clone());
        for budget in slice.budgets() {
            let measures = [KL, AGREEMENT, KEPT].into_iter().take(shown);
            let cells = measures.map(|measure| slice.difference_cell(pair.a, pair.b, budget, &measure));
            table.row_if_any(budget.to_string(), cells);
        }
    }
    finish(table, lacking)
}

/// Returns the table of differences in right answers, with a group for each pair, a row for each task and a
/// column for each budget.
pub(super) fn task_differences(
    tasks: &[(String, Slice<'_>)],
    asked: &[(String, String)],
    caption: &str,
) -> Option<Table> {
    let budgets = budgets_of(tasks);
    let title = format!(
        "{caption}: pairs of the definition, answers right, percentage points, first minus second [95 % CI]"
    );
    let mut table = Table::with_number_columns(title, "task", &budgets);
    for own in asked.chunks(1) {
        let mut is_first = true;
        for (task, slice) in tasks {
            for pair in measured_pairs(slice, own).0 {
                if std::mem::take(&mut is_first) {
                    table.group(pair.label.clone());
                }
                let cells =
                    budgets.iter().map(|budget| slice.difference_cell(pair.a, pair.b, *budget, &ACCURACY));
                table.row(task.clone(), cells);
            }
        }
    }
    finish(table, Vec::new())
}

/// Adds the notes and returns the table, or `None` if the table has no rows and no pair is missing.
fn finish(mut table: Table, lacking: Vec<String>) -> Option<Table> {
    explain_marks(&mut table);
    table.note(format!("{READING} {DIFFERENCES}"));
    let incomplete = !lacking.is_empty();
    lacking.into_iter().for_each(|sentence| table.note(sentence));
    (!table.is_empty() || incomplete).then_some(table)
}
