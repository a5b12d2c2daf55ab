//! Paired differences for the script of a page: those between the pairs of a definition, or those from random
//! choice.

use super::baseline::{self, Baseline};
use super::difference_table::{DifferenceTable, Tested};
use super::measure::{ACCURACY, AGREEMENT, KL, Measure};
use super::pairs::{Asked, task_table, text_table};
use super::retrieval;
use super::slice::Slice;
use crate::page::data::{ForestData, ForestPanel, ForestRow};
use bitkv_record::{AskedBudget, ScoredTask};

/// The place of the two policies, of the budget and of the task in a table of differences.
enum Layout {
    /// A group is a pair, and a row is a budget.
    PairsByBudget,
    /// A group is a pair, a row is a task, and a column is a budget.
    PairsByTask(Vec<String>),
    /// A row is a policy, which is compared with a baseline, and a column is a budget.
    Baseline(Vec<String>),
}

/// Returns the differences of an experiment. `panels` has the slices with their names.
pub(super) fn forest(title: &str, panels: &[(String, Slice<'_>)], asked: Asked<'_>) -> ForestData {
    let panels = panels.iter().flat_map(|(name, slice)| slice_panels(name, slice, asked));
    let panels: Vec<ForestPanel> = panels.filter(|panel| !panel.rows.is_empty()).collect();
    ForestData { title: format!("{title}: paired differences"), panels }
}

/// Returns the comparisons of one slice: the pairs of the definition first.
fn slice_panels(name: &str, slice: &Slice<'_>, asked: Asked<'_>) -> [ForestPanel; 2] {
    let texts = slice.only(ScoredTask::TEXT, None);
    let mut pairs = Vec::new();
    if let Some((table, _)) = text_table(&texts, asked, "") {
        pairs.extend(rows(&table, &Layout::PairsByBudget));
    }
    let tasks = retrieval::tasks(slice);
    let budgets = baseline::budgets_of(&tasks).iter().map(ToString::to_string).collect();
    pairs.extend(rows(&task_table(&tasks, asked, ""), &Layout::PairsByTask(budgets)));

    let mut from_random = Vec::new();
    for measure in [KL, AGREEMENT] {
        let budgets = texts.budgets().iter().map(ToString::to_string).collect();
        let table = baseline::all_differences(&texts, "", Baseline::Random, &measure);
        from_random.extend(rows(&table, &Layout::Baseline(budgets)));
    }
    let pairs = ForestPanel { name: format!("{name}: pairs of the definition"), rows: pairs };
    let title = format!("{name}: against {}", Baseline::Random.name());
    [pairs, ForestPanel { name: title, rows: from_random }]
}

/// Returns the differences of a table, without those at the full budget that are 0 on every text.
fn rows(table: &DifferenceTable, layout: &Layout) -> Vec<ForestRow> {
    let is_whole = |row: &ForestRow| row.budget == AskedBudget::FULL.to_string();
    let all = table.tested();
    let shown = all.iter().map(|tested| (row(tested, layout), tested));
    let shown =
        shown.filter(|(row, tested)| !is_whole(row) || tested.difference.values.iter().any(|d| *d != 0.0));
    shown.map(|(row, _)| row).collect()
}

/// Returns one difference.
fn row(tested: &Tested<'_>, layout: &Layout) -> ForestRow {
    let (label, budget, task) = match layout {
        Layout::PairsByBudget => (tested.group, tested.row, None),
        Layout::PairsByTask(budgets) => (tested.group, budgets[tested.column].as_str(), Some(tested.row)),
        Layout::Baseline(budgets) => (tested.row, budgets[tested.column].as_str(), None),
    };
    let estimate = tested.difference.estimate;
    let measure: &Measure = &tested.measure;
    let name = measure.name();
    let is_share = [AGREEMENT.name(), ACCURACY.name()].contains(&name);
    ForestRow {
        label: label.to_owned(),
        budget: budget.to_owned(),
        measure: task.map_or_else(|| name.to_owned(), |task| format!("{name}: {task}")),
        unit: if is_share { String::new() } else { measure.difference_suffix().trim().to_owned() },
        value: estimate.value,
        interval: estimate.interval.map_or_else(Vec::new, |(low, high)| vec![Some(low), Some(high)]),
        n: tested.difference.values.len(),
        verdict: verdict(tested),
    }
}

/// Returns the verdict in words. An interval is that of a single comparison, so it may exclude 0 where the
/// correction for all comparisons leaves the verdict open.
fn verdict(tested: &Tested<'_>) -> String {
    let difference = tested.difference;
    let excludes_zero = difference.estimate.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0);
    match tested.verdict.as_str() {
        "" if difference.values.iter().all(|value| *value == 0.0) => "identical".to_owned(),
        "undecided" if excludes_zero => {
            format!("undecided after correction for {} comparisons", tested.comparisons)
        }
        verdict => verdict.to_owned(),
    }
}
