//! Differences between the pairs of policies that a definition names. These differences decide its question.

use super::baseline::budgets_of;
use super::measure::{ACCURACY, AGREEMENT, DIFFERENCES, KEPT, KL};
use super::slice::Slice;
use crate::policies::{explain_marks, is_loose};
use crate::table::Table;
use bitkv_record::PolicyText;

const READING: &str = "In KL below zero, in agreement and answers above zero the first of a pair is better.";

/// A pair of measured policies, with the names that rows have.
struct Pair<'a> {
    a: &'a str,
    b: &'a str,
    label: String,
}

/// The pairs of which both policies were measured, and a sentence for each other one.
fn found<'a>(slice: &Slice<'a>, asked: &[(String, String)]) -> (Vec<Pair<'a>>, Vec<String>) {
    let policies = slice.policies();
    let named = |text: &str| {
        let (asked, _) = PolicyText::new(text).without_seed();
        // As it is written, which a preset's canonical text does not tell, or as rows name it.
        let is_asked = |text: &str| PolicyText::new(text).without_seed().0 == asked;
        policies.iter().find(|policy| is_asked(policy) || is_asked(slice.written(policy))).copied()
    };
    let (mut pairs, mut lacking) = (Vec::new(), Vec::new());
    for (a, b) in asked {
        match (named(a), named(b)) {
            (Some(a), Some(b)) => {
                let label = format!("{} less {}", slice.contender(a).marked(), slice.contender(b).marked());
                pairs.push(Pair { a, b, label });
            }
            (found, _) => lacking.push(format!(
                "Nothing was measured of {} as the pair is written; rows leave out options at their defaults.",
                if found.is_none() { a } else { b }
            )),
        }
    }
    (pairs, lacking)
}

/// On texts: KL, agreement and, where they differ, entries kept. A group for each pair, a row for each budget.
pub(super) fn on_texts(slice: &Slice<'_>, asked: &[(String, String)], caption: &str) -> Option<Table> {
    let (pairs, lacking) = found(slice, asked);
    let title = format!("{caption}: pairs of the definition, first less second [95 % CI]");
    let titles = ["KL, nats", "agreement, percentage points", "entries kept, percentage points"];
    // If all policies keep what was requested, the difference in entries is not interesting.
    let loose = slice.rows().iter().any(|row| is_loose(row));
    let shown = if loose { 3 } else { 2 };
    let mut table = Table::of_numbers(title, "budget", &titles[..shown]);
    for pair in &pairs {
        table.group(pair.label.clone());
        for budget in slice.budgets() {
            let measures = [KL, AGREEMENT, KEPT].into_iter().take(shown);
            let cells = measures.map(|measure| slice.less(pair.a, pair.b, budget, &measure));
            table.row_if_any(budget.to_string(), cells);
        }
    }
    finish(table, lacking)
}

/// Answers: a group for each pair, a row for each task, a column for each budget.
pub(super) fn on_tasks(
    tasks: &[(String, Slice<'_>)],
    asked: &[(String, String)],
    caption: &str,
) -> Option<Table> {
    let budgets = budgets_of(tasks);
    let title = format!(
        "{caption}: pairs of the definition, answers right, percentage points, first less second [95 % CI]"
    );
    let mut table = Table::of_numbers(title, "task", &budgets);
    for own in asked.chunks(1) {
        let mut is_first = true;
        for (task, slice) in tasks {
            for pair in found(slice, own).0 {
                if std::mem::take(&mut is_first) {
                    table.group(pair.label.clone());
                }
                let cells = budgets.iter().map(|budget| slice.less(pair.a, pair.b, *budget, &ACCURACY));
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
