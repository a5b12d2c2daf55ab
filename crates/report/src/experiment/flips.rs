//! Answers that change from one policy to another, question by question, with McNemar's test.
//!
//! Two policies with the same share of right answers may answer different questions. The changed answers (the
//! "flips" of Dutta et al. 2024) show that, and the test uses only them.

use super::slice::Slice;
use super::tested_table::{LEVEL, TestedTable, is_significant};
use crate::format::MISSING;
use crate::interval::FEWEST_FOR_STARS;
use crate::policies::explain_marks;
use crate::table::Table;
use crate::unique;
use bitkv_record::{AskedBudget, GridRow, PolicyRole};
use bitkv_stats::mcnemar;
use std::collections::BTreeMap;

const CLUSTERS: &str = "Questions of one context share its compressed cache, so they are not independent and p-values are too small if \
contexts differ. A policy that was drawn several times in the same context has no single answer and is left out.";

/// The answers that change between two policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flips {
    /// The questions that only the second policy answers right.
    lost: u64,
    /// The questions that only the first policy answers right.
    gained: u64,
    /// All questions.
    questions: u64,
    /// The contexts of the questions.
    contexts: usize,
}

impl Flips {
    /// Compares the answers of two policies to the same questions. Returns `None` if a context has several
    /// draws of a policy, if the rows have no answers, or if the policies have no question in common.
    fn new(first: &[&GridRow], second: &[&GridRow]) -> Option<Self> {
        let (first, second) = (answers(first)?, answers(second)?);
        let mut flips = Self { lost: 0, gained: 0, questions: 0, contexts: 0 };
        let mut contexts = Vec::new();
        for (questions, own) in &first {
            let Some(other) = second.get(questions).filter(|other| other.len() == own.len()) else {
                continue;
            };
            contexts.push((questions.0, questions.1));
            for (own, other) in own.bytes().zip(other.bytes()) {
                flips.questions += 1;
                flips.lost += u64::from(own < other);
                flips.gained += u64::from(own > other);
            }
        }
        flips.contexts = unique(contexts.into_iter()).len();
        (flips.questions > 0).then_some(flips)
    }
}

/// What identifies a group of questions: the context, its length, and the depth of the answers.
type Questions<'a> = (&'a str, usize, Option<u64>);

/// Returns the answers to each group of questions, `1` for right and `0` for wrong, or `None` if a context
/// was measured with several draws.
fn answers<'a>(rows: &[&'a GridRow]) -> Option<BTreeMap<Questions<'a>, String>> {
    let contexts = |row: &&'a GridRow| (row.text.as_str(), row.context_tokens);
    let draws = unique(rows.iter().map(|row| (contexts(row), row.seed)));
    if draws.len() > unique(rows.iter().map(contexts)).len() {
        return None;
    }
    let mut answers: BTreeMap<Questions<'_>, String> = BTreeMap::new();
    for row in rows {
        let key = (row.text.as_str(), row.context_tokens, row.depth.map(f64::to_bits));
        *answers.entry(key).or_default() += row.answers.as_deref()?;
    }
    Some(answers)
}

/// The flips of a cell and their p-value, or `None` if the policies have no common questions.
type Cell = Option<(Flips, f64)>;

/// Returns the printed table. The p-values are corrected for the number of comparisons in it.
fn finish(table: TestedTable<Cell>, note: &str) -> Option<Table> {
    let test = |cell: &Cell| {
        let (_, p) = cell.filter(|(flips, _)| flips.contexts >= FEWEST_FOR_STARS)?;
        Some(("flips", p))
    };
    let corrected = table.corrected(test);
    let comparisons = corrected.iter().flatten().count();
    let mut table = table.print(|cell, index| {
        let star = if is_significant(corrected[index]) { " *" } else { "" };
        let printed = cell.map(|(Flips { lost, gained, questions, .. }, _)| {
            format!("{lost} / {gained} of {questions}{star}")
        });
        vec![printed.unwrap_or_else(|| MISSING.to_owned())]
    });
    explain_marks(&mut table);
    table.note(format!(
        "{note} * marks an exact one-sided p-value of McNemar's test below {LEVEL} after Holm's correction for the \
         {comparisons} comparisons in this table. Fewer than {FEWEST_FOR_STARS} contexts are not marked. {CLUSTERS}"
    ));
    table.unless_empty()
}

/// Returns the table of answers that each policy loses and gains against the full cache, with a group for
/// each task, or `None` if the rows have no answers.
pub(super) fn against_full(
    tasks: &[(String, Slice<'_>)],
    budgets: &[AskedBudget],
    caption: &str,
) -> Option<Table> {
    let title = format!("{caption}: answers lost / gained against the full cache");
    let mut table = TestedTable::new(Table::with_number_columns(title, "policy", budgets));
    for (task, slice) in tasks {
        let Some(full) = slice.full() else { continue };
        table.group(task.clone());
        for contender in slice.contenders().into_iter().filter(|own| own.role != PolicyRole::Full) {
            let cell = |budget: &AskedBudget| {
                let flips = Flips::new(&slice.at(contender.policy, *budget), &slice.at(full, *budget))?;
                Some((flips, mcnemar(flips.lost, flips.gained)))
            };
            table.row(contender.marked(), budgets.iter().map(cell));
        }
    }
    finish(table, "The test asks whether more answers are lost than gained.")
}

/// The table of answers that change between the two policies of each pair.
pub(super) struct PairTable<'b> {
    flips: TestedTable<Cell>,
    budgets: &'b [AskedBudget],
}

impl<'b> PairTable<'b> {
    pub(super) fn new(caption: &str, budgets: &'b [AskedBudget]) -> Self {
        let title = format!(
            "{caption}: pairs of the definition, answers that only the second / only the first has right"
        );
        Self { flips: TestedTable::new(Table::with_number_columns(title, "task", budgets)), budgets }
    }

    /// Begins the group of a pair.
    pub(super) fn group(&mut self, label: &str) {
        self.flips.group(label);
    }

    /// Adds the row of a task.
    pub(super) fn row(&mut self, task: &str, slice: &Slice<'_>, [first, second]: [&str; 2]) {
        let cell = |budget: &AskedBudget| {
            let flips = Flips::new(&slice.at(first, *budget), &slice.at(second, *budget))?;
            Some((flips, mcnemar(flips.gained, flips.lost)))
        };
        self.flips.row(task.to_owned(), self.budgets.iter().map(cell));
    }

    /// Returns the printed table, or `None` if the rows have no answers.
    pub(super) fn finish(self) -> Option<Table> {
        let note =
            "The test asks whether the first policy of the pair has more right answers than the second.";
        finish(self.flips, note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str, depth: f64, answers: &str) -> GridRow {
        GridRow { text: text.into(), depth: Some(depth), answers: Some(answers.into()), ..GridRow::default() }
    }

    #[test]
    fn answers_are_compared_question_by_question() {
        let first = [row("a", 0.0, "1100"), row("a", 0.5, "1"), row("b", 0.0, "11")];
        let second = [row("a", 0.5, "1"), row("a", 0.0, "1011"), row("c", 0.0, "00")];
        let flips = |first: &[GridRow], second: &[GridRow]| {
            Flips::new(&first.iter().collect::<Vec<_>>(), &second.iter().collect::<Vec<_>>())
        };
        assert_eq!(flips(&first, &second), Some(Flips { lost: 2, gained: 1, questions: 5, contexts: 1 }));
        assert_eq!(flips(&first, &second[2..]), None, "no context in common");
        assert_eq!(flips(&first[..1], &[row("a", 0.0, "10")]), None, "another number of questions");
        let mut drawn = first.to_vec();
        drawn.push(GridRow { seed: 1, ..row("a", 0.0, "1111") });
        assert_eq!(flips(&drawn, &second), None, "several draws");
        let old = [GridRow { answers: None, ..row("a", 0.0, "") }];
        assert_eq!(flips(&old, &first), None, "rows without answers");
    }
}
