//! Right answers about generated contexts, by task, context length and depth.

use super::baseline::{Baseline, against_in_groups, budgets_of};
use super::chart::{GREY, against_kept};
use super::matrix::measured;
use super::measure::{ACCURACY, AGREEMENT, marked};
use super::quantity::{Quantity, difference, mean_over_texts};
use super::slice::{Slice, heading};
use crate::block::Block;
use crate::block::drawn;
use crate::curve::Scale;
use crate::format::{fixed, optional, percent};
use crate::policies::explain_marks;
use crate::table::Table;
use crate::unique;
use bitkv_record::{GridRow, Named, PolicyRole, ScoredTask, TaskKind};

/// The number of bands of depth. Each band is wide enough to have answers.
const BANDS: usize = 4;

const DEPTH_NOTE: &str = "Depth is where in the context the answer stands, from its start to its end.";
const SHARE_NOTE: &str = "Answers right as a share of those that the full cache gets right, beside agreement with the full \
cache on text: what falls faster is lost sooner. Above 100 % a policy is better than the full cache.";

/// Returns the slice of each task and context length, with its name.
pub(super) fn tasks<'a>(slice: &Slice<'a>) -> Vec<(String, Slice<'a>)> {
    let asked = slice.rows().iter().filter(|row| row.task.kind != TaskKind::Text);
    let tasks = unique(asked.map(|row| (row.task, row.context_tokens)));
    let named = |(task, tokens): (ScoredTask, usize)| {
        let own = slice.only(task, Some(tokens));
        (described(task, tokens, own.texts()), own)
    };
    tasks.into_iter().map(named).collect()
}

fn described(task: ScoredTask, tokens: usize, contexts: usize) -> String {
    let question = if task.aware { ", the policy sees the question" } else { "" };
    format!("{} in {contexts} contexts of {tokens} tokens{question}", task.kind)
}

/// Returns the section about answers. It shows right answers as a share of the full cache's, and then, for
/// each task, right answers by policy and budget and by depth. The differences from the baselines are folded.
pub(super) fn blocks(slice: &Slice<'_>, caption: &str) -> Vec<Block> {
    let tasks = tasks(slice);
    let mut blocks: Vec<Block> = shares(slice, &tasks, caption).map(Block::Table).into_iter().collect();
    blocks.extend(seen(slice, &tasks, caption).map(Block::Table));
    for (task, own) in &tasks {
        let caption = format!("{caption}: {task}");
        blocks.push(Block::Table(measured(own, &caption, &ACCURACY)));
        let chart = against_kept(own, &caption, &ACCURACY, Scale::Unit);
        blocks.extend(chart.iter().map(|chart| drawn(chart, GREY)));
        let depths = by_depth(own, &caption);
        if !depths.is_empty() {
            blocks.push(Block::Details(format!("{caption}, by depth"), vec![Block::Table(depths)]));
        }
    }
    let against = |baseline| against_in_groups(&tasks, caption, baseline, &ACCURACY);
    let tables: Vec<Block> = Baseline::ALL.into_iter().filter_map(against).map(Block::Table).collect();
    if !tables.is_empty() {
        blocks.push(Block::Details(format!("{caption}: answers against the baselines"), tables));
    }
    blocks
}

/// Agreement on text and the share of the full cache's right answers, in groups by budget; none without texts.
fn shares(slice: &Slice<'_>, tasks: &[(String, Slice<'_>)], caption: &str) -> Option<Table> {
    let texts = slice.only(ScoredTask::TEXT, None);
    if texts.is_empty() || tasks.is_empty() {
        return None;
    }
    let short =
        |own: &Slice<'_>| own.rows().first().map(|row| format!("{} {}", row.task, row.context_tokens));
    let mut heads = vec!["agreement on text".to_owned()];
    heads.extend(tasks.iter().filter_map(|(_, own)| short(own)));
    let mut table =
        Table::of_numbers(format!("{caption}: what is left of the full cache, %"), "policy", heads);
    for budget in budgets_of(tasks) {
        table.group(heading(budget));
        for contender in texts.contenders().into_iter().filter(|contender| contender.role != PolicyRole::Full)
        {
            let mean =
                |own: &Slice<'_>, policy: &str| mean_over_texts(&own.at(policy, budget), Quantity::ACCURACY);
            let share = |(_, own): &(String, Slice<'_>)| {
                let full = own.full().and_then(|full| mean(own, full)).filter(|full| *full > 0.0);
                optional(full.and_then(|full| Some(mean(own, contender.policy)? / full)), percent)
            };
            let agreement = AGREEMENT.point(&texts.at(contender.policy, budget));
            table.row(contender.marked(), [agreement].into_iter().chain(tasks.iter().map(share)));
        }
    }
    explain_marks(&mut table);
    table.note(SHARE_NOTE);
    Some(table)
}

/// What a policy gains by seeing the question: paired by context, which is drawn alike for both. None without tasks that
/// were asked both ways.
fn seen(slice: &Slice<'_>, tasks: &[(String, Slice<'_>)], caption: &str) -> Option<Table> {
    let kinds = unique(tasks.iter().filter_map(|(_, own)| own.rows().first()).map(|row| row.task));
    let both =
        kinds.iter().filter(|task| task.aware && kinds.contains(&ScoredTask { aware: false, ..**task }));
    let both: Vec<TaskKind> = both.map(|task| task.kind).collect();
    let caption = format!(
        "{caption}: answers right when the policy sees the question, less when it does not, percentage points [95 % CI]"
    );
    let mut table = Table::of_numbers(caption, "policy", &both);
    for budget in budgets_of(tasks) {
        table.group(heading(budget));
        for contender in slice.contenders() {
            let cell = |kind: &TaskKind| {
                let rows = slice.at(contender.policy, budget);
                let of = |aware| unmarked(&rows, ScoredTask { kind: *kind, aware });
                let (own, other) = (of(true), of(false));
                let found = difference(
                    &own.iter().collect::<Vec<_>>(),
                    &other.iter().collect::<Vec<_>>(),
                    Quantity::ACCURACY,
                    slice.seed,
                );
                marked(found, &ACCURACY)
            };
            table.row(contender.marked(), both.iter().map(cell));
        }
    }
    explain_marks(&mut table);
    (!both.is_empty() && !table.is_empty()).then_some(table)
}

/// The rows of a task under the name and length that its contexts have whether or not policies see the question.
fn unmarked(rows: &[&GridRow], task: ScoredTask) -> Vec<GridRow> {
    let own = rows.iter().filter(|row| row.task == task);
    let plain = |row: &&&GridRow| {
        let text = row.text.replacen(&row.task.to_string(), row.task.kind.name(), 1);
        GridRow { text, context_tokens: 0, ..(**row).clone() }
    };
    own.map(|row| plain(&row)).collect()
}

/// Returns the table of right answers by band of depth, in groups by budget.
fn by_depth(slice: &Slice<'_>, caption: &str) -> Table {
    let edge = |i: usize| fixed(100.0 * i as f64 / BANDS as f64, 0);
    let heads = (0..BANDS).map(|i| format!("{} to {} %", edge(i), edge(i + 1)));
    let mut table = Table::of_numbers(format!("{caption}: answers right by depth, %"), "policy", heads);
    for budget in slice.budgets() {
        table.group(heading(budget));
        for contender in slice.contenders() {
            let rows = slice.at(contender.policy, budget);
            let cell = |i| ACCURACY.point(&of_band(&rows, i));
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

/// The end of the context belongs to the last band.
fn of_band<'a>(rows: &[&'a GridRow], band: usize) -> Vec<&'a GridRow> {
    let own = |depth: f64| ((depth * BANDS as f64) as usize).min(BANDS - 1) == band;
    rows.iter().copied().filter(|row| row.depth.is_some_and(own)).collect()
}
