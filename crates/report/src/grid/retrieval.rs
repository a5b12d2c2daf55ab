//! Answers about generated contexts, by task, length and depth.

use super::matrix::{columns, measured};
use super::measure::ACCURACY;
use super::slice::{Slice, heading};
use crate::compression::explain_marks;
use crate::document::Block;
use crate::format::fixed;
use crate::table::Table;
use crate::unique;
use bitkv_record::{GridRow, ScoredTask, TaskKind};

/// Bands of depth: wide enough to have answers in each.
const BANDS: usize = 4;

const DEPTH_NOTE: &str = "Depth is where in the context the answer stands, from its start to its end.";

/// For each task and length: accuracy by policy and budget, then by depth.
pub(super) fn blocks(slice: &Slice<'_>, caption: &str, seed: u64) -> Vec<Block> {
    let asked = slice.rows().iter().filter(|row| row.task.kind != TaskKind::Text);
    let tasks = unique(asked.map(|row| (row.task, row.context_tokens)));
    let mut blocks = Vec::new();
    for (task, tokens) in tasks {
        let own = slice.only(task, Some(tokens));
        let caption = format!("{caption}: {}", described(task, tokens, own.texts()));
        blocks.push(Block::Table(measured(&own, &caption, &ACCURACY, seed)));
        let depths = by_depth(&own, &caption);
        if !depths.is_empty() {
            blocks.push(Block::Details(format!("{caption}, by depth"), vec![Block::Table(depths)]));
        }
    }
    blocks
}

fn described(task: ScoredTask, tokens: usize, contexts: usize) -> String {
    let question = if task.aware { ", the policy sees the question" } else { "" };
    format!("{} in {contexts} contexts of {tokens} tokens{question}", task.kind)
}

/// Accuracy by band of depth, in groups by budget.
fn by_depth(slice: &Slice<'_>, caption: &str) -> Table {
    let edge = |i: usize| fixed(100.0 * i as f64 / BANDS as f64, 0);
    let heads: Vec<String> = (0..BANDS).map(|i| format!("{} to {} %", edge(i), edge(i + 1))).collect();
    let mut table = Table::new(format!("{caption}: answers right by depth, %"), &columns(&heads));
    let mut names = String::new();
    for budget in slice.budgets() {
        table.group(heading(budget));
        for contender in slice.contenders() {
            let rows = slice.at(contender.policy, budget);
            let cell = |i| ACCURACY.point(&of_band(&rows, i));
            if rows.iter().all(|row| row.depth.is_none()) {
                continue;
            }
            let name = contender.marked();
            names += &name;
            table.push([name].into_iter().chain((0..BANDS).map(cell)).collect());
        }
    }
    explain_marks(&mut table, &names);
    table.note(DEPTH_NOTE);
    table
}

/// The end of the context belongs to the last band.
fn of_band<'a>(rows: &[&'a GridRow], band: usize) -> Vec<&'a GridRow> {
    let own = |depth: f64| ((depth * BANDS as f64) as usize).min(BANDS - 1) == band;
    rows.iter().copied().filter(|row| row.depth.is_some_and(own)).collect()
}
