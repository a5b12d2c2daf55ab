//! Right answers about generated contexts, by task, context length and depth.

use super::baseline::{Baseline, budgets_of, grouped_differences};
use super::chart::{GREY_NOTE, against_kept};
use super::difference_table::{Cell, DifferenceTable};
use super::flips;
use super::matrix::with_intervals;
use super::measure::{ACCURACY, AGREEMENT, answer_measures};
use super::quantity::{Quantity, difference, mean_over_texts};
use super::slice::{Slice, heading};
use crate::block::{Block, chart_figure};
use crate::curve::Scale;
use crate::format::{fixed, optional, percent};
use crate::policies::explain_marks;
use crate::table::Table;
use crate::unique;
use bitkv_record::{GridRow, Named, PolicyRole, ScoredTask, TaskKind};

/// The number of bands of depth. Each band is wide enough to have answers.
pub(super) const BANDS: usize = 4;

const DEPTH_NOTE: &str =
    "Depth is the position of the answer in the context, from 0 % (start) to 100 % (end).";
const SHARE_NOTE: &str = "Right answers are given as a share of the full cache's right answers. Compare them with the agreement on \
text: the smaller of the two is lost sooner. Above 100 %, a policy answers better than the full cache.";

/// Returns the slice of each task and context length, with its name.
pub(super) fn tasks<'a>(slice: &Slice<'a>) -> Vec<(String, Slice<'a>)> {
    let asked = slice.rows().iter().filter(|row| row.task.kind != TaskKind::Text);
    let tasks = unique(asked.map(|row| (row.task, row.context_tokens)));
    let named_slice = |(task, tokens): (ScoredTask, usize)| {
        let own = slice.only(task, Some(tokens));
        (task_name(task, tokens, own.texts()), own)
    };
    tasks.into_iter().map(named_slice).collect()
}

/// Returns the name of a task in captions. Names of figures also contain it.
fn task_name(task: ScoredTask, tokens: usize, contexts: usize) -> String {
    let question = if task.aware { ", the policy sees the question" } else { "" };
    format!("{} in {contexts} contexts of {tokens} tokens{question}", task.kind)
}

/// Returns the section about answers. It shows right answers as a share of the full cache's, and then, for
/// each task, right answers by policy and budget and by depth. The differences from the baselines are folded.
pub(super) fn blocks(slice: &Slice<'_>, caption: &str) -> Vec<Block> {
    let tasks = tasks(slice);
    let mut blocks: Vec<Block> =
        relative_answers(slice, &tasks, caption).map(Block::Table).into_iter().collect();
    blocks.extend(question_gain(slice, &tasks, caption).map(Block::Table));
    for (task, own) in &tasks {
        let caption = format!("{caption}: {task}");
        blocks.push(Block::Table(with_intervals(own, &caption, &ACCURACY)));
        let chart = against_kept(own, &caption, &ACCURACY, Scale::Unit);
        blocks.extend(chart.iter().map(|chart| chart_figure(chart, GREY_NOTE)));
        let measures = answer_measures();
        let spans = measures.iter().filter(|measure| measure.is_in(own.rows()));
        let spans: Vec<Block> =
            spans.map(|measure| Block::Table(with_intervals(own, &caption, measure))).collect();
        if !spans.is_empty() {
            blocks.push(Block::Details(format!("{caption}, tokens of the answers"), spans));
        }
        let depths = by_depth(own, &caption);
        if !depths.is_empty() {
            blocks.push(Block::Details(format!("{caption}, by depth"), vec![Block::Table(depths)]));
        }
    }
    blocks.extend(flips::against_full(&tasks, &budgets_of(&tasks), caption).map(Block::Table));
    let differences = |baseline| grouped_differences(&tasks, caption, baseline, &ACCURACY);
    let tables: Vec<Block> = Baseline::ALL.into_iter().filter_map(differences).map(Block::Table).collect();
    if !tables.is_empty() {
        blocks.push(Block::Details(format!("{caption}: answers against the baselines"), tables));
    }
    blocks
}

/// Returns the table of agreement on text and of right answers as a share of the full cache's, in groups by
/// budget, or `None` if there are no texts or no tasks.
fn relative_answers(slice: &Slice<'_>, tasks: &[(String, Slice<'_>)], caption: &str) -> Option<Table> {
    let texts = slice.only(ScoredTask::TEXT, None);
    if texts.is_empty() || tasks.is_empty() {
        return None;
    }
    let task_title =
        |own: &Slice<'_>| own.rows().first().map(|row| format!("{} {}", row.task, row.context_tokens));
    let mut titles = vec!["agreement on text".to_owned()];
    titles.extend(tasks.iter().filter_map(|(_, own)| task_title(own)));
    let mut table =
        Table::with_number_columns(format!("{caption}: what is left of the full cache, %"), "policy", titles);
    for budget in budgets_of(tasks) {
        table.group(heading(budget));
        for contender in texts.contenders().into_iter().filter(|contender| contender.role != PolicyRole::Full)
        {
            let mean = |task: &Slice<'_>, policy: &str| {
                mean_over_texts(&task.at(policy, budget), Quantity::ACCURACY)
            };
            let share = |(_, task): &(String, Slice<'_>)| {
                let full = task.full().and_then(|full| mean(task, full)).filter(|full| *full > 0.0);
                optional(full.and_then(|full| Some(mean(task, contender.policy)? / full)), percent)
            };
            let agreement = AGREEMENT.point(&texts.at(contender.policy, budget));
            table.row(contender.marked(), [agreement].into_iter().chain(tasks.iter().map(share)));
        }
    }
    explain_marks(&mut table);
    table.note(SHARE_NOTE);
    Some(table)
}

/// Returns the table of what a policy gains if it sees the question. Differences are paired by context, which
/// is the same both times. Returns `None` if no task was asked in both ways.
fn question_gain(slice: &Slice<'_>, tasks: &[(String, Slice<'_>)], caption: &str) -> Option<Table> {
    let kinds = unique(tasks.iter().filter_map(|(_, own)| own.rows().first()).map(|row| row.task));
    let both =
        kinds.iter().filter(|task| task.aware && kinds.contains(&ScoredTask { aware: false, ..**task }));
    let both: Vec<TaskKind> = both.map(|task| task.kind).collect();
    let caption = format!(
        "{caption}: answers right when the policy sees the question, minus when it does not, percentage points [95 % CI]"
    );
    let mut table = DifferenceTable::new(Table::with_number_columns(caption, "policy", &both));
    for budget in budgets_of(tasks) {
        table.group(heading(budget));
        for contender in slice.contenders() {
            let cell = |kind: &TaskKind| {
                let rows = slice.at(contender.policy, budget);
                let answers = |aware| without_awareness(&rows, ScoredTask { kind: *kind, aware });
                let (own, other) = (answers(true), answers(false));
                let found = difference(
                    &own.iter().collect::<Vec<_>>(),
                    &other.iter().collect::<Vec<_>>(),
                    Quantity::ACCURACY,
                );
                Cell::Difference(ACCURACY, found)
            };
            table.row(contender.marked(), both.iter().map(cell));
        }
    }
    let mut table = table.finish();
    explain_marks(&mut table);
    (!both.is_empty() && !table.is_empty()).then_some(table)
}

/// Returns the rows of a task with names and lengths of contexts that do not depend on whether policies see
/// the question.
fn without_awareness(rows: &[&GridRow], task: ScoredTask) -> Vec<GridRow> {
    let own = rows.iter().filter(|row| row.task == task);
    let plain = |row: &&&GridRow| {
        let text = row.text.replacen(&row.task.to_string(), row.task.kind.name(), 1);
        GridRow { text, context_tokens: 0, ..(**row).clone() }
    };
    own.map(|row| plain(&row)).collect()
}

/// Returns the table of right answers by band of depth, in groups by budget.
fn by_depth(slice: &Slice<'_>, caption: &str) -> Table {
    let caption = format!("{caption}: answers right by depth, %");
    let mut table = Table::with_number_columns(caption, "policy", band_titles());
    for budget in slice.budgets() {
        table.group(heading(budget));
        for contender in slice.contenders() {
            let rows = slice.at(contender.policy, budget);
            let cell = |i| ACCURACY.point(&in_band(&rows, i));
            if rows.iter().all(|row| row.depth.is_none()) {
                continue;
            }
            table.row(contender.marked(), (0..BANDS).map(cell));
        }
    }
    explain_marks(&mut table);
    table.note(DEPTH_NOTE);
    table
}

/// Returns the titles of the bands of depth.
pub(super) fn band_titles() -> impl Iterator<Item = String> {
    let edge = |i: usize| fixed(100.0 * i as f64 / BANDS as f64, 0);
    (0..BANDS).map(move |i| format!("{} to {} %", edge(i), edge(i + 1)))
}

/// Returns the rows of a band of depth. The end of the context belongs to the last band.
pub(super) fn in_band<'a>(rows: &[&'a GridRow], band: usize) -> Vec<&'a GridRow> {
    let is_in_band = |depth: f64| ((depth * BANDS as f64) as usize).min(BANDS - 1) == band;
    rows.iter().copied().filter(|row| row.depth.is_some_and(is_in_band)).collect()
}
