//! Tables of advice: where the memory is, and what the measured caches cost.

use super::{
    Candidate,
    sentences::{Question, counted_tokens},
};
use crate::format::{megabytes, optional, percent, significant};
use crate::table::Table;
use crate::unique;
use bitkv_record::ScoredTask;

/// The number of tasks that a table has room for.
const TASKS: usize = 2;

/// Returns where the memory is: while the prompt is read, and after it with the cache of `kept`.
pub fn memory(question: &Question<'_>, kept: Option<&Candidate<'_>>) -> Table {
    let memory = question.memory;
    let caption = format!("{}: memory at {}", question.model, counted_tokens(question.context));
    let titles = match kept {
        Some(_) => "part|>while the prompt is read, MB|>%|>after it, MB|>%",
        None => "part|>MB|>%",
    };
    let mut table = Table::titled(caption, titles);
    let after = kept.map(|kept| kept.cache_bytes);
    let repetition = kept.map_or(0, |kept| kept.repetition_bytes);
    let peak = memory.peak() + repetition;
    let totals: Vec<u64> =
        [Some(peak), after.map(|cache| memory.total(cache))].into_iter().flatten().collect();
    let mut push = |name: &str, bytes: [Option<u64>; 2]| {
        let parts = bytes.into_iter().flatten().zip(&totals);
        let cells =
            parts.flat_map(|(bytes, total)| [megabytes(bytes as f64), percent(bytes as f64 / *total as f64)]);
        table.row(name.to_owned(), cells);
    };
    for (name, bytes) in &memory.weights {
        push(name, [Some(*bytes), after.map(|_| *bytes)]);
    }
    push("activations", [Some(memory.activations), after.map(|_| memory.activations)]);
    push("KV cache", [Some(memory.full_cache + repetition), after]);
    push("total", [Some(peak), after.map(|cache| memory.total(cache))]);
    table.note("MB = 10^6 bytes. The cache is whole and in f16 while the prompt is read. Activations are one vector per token.");
    if let Some(kept) = kept.filter(|_| repetition > 0) {
        table.note(format!(
            "While {} repeats the prompt, the cache has {} MB more, which are counted.",
            kept.cell.policy,
            megabytes(repetition as f64)
        ));
    }
    table
}

/// Returns what the caches cost on the texts that certify, one row each. Times are shown only if the rows are
/// those of the user's own model.
pub fn costs(question: &Question<'_>, caption: &str, candidates: &[Candidate<'_>]) -> Table {
    let tasks = shown_tasks(question, candidates);
    let with_times =
        question.is_own && candidates.iter().any(|candidate| candidate.cell.plan_seconds.is_some());
    let [chose, certify] = [question.choosing_texts(), question.certifying_texts()];
    let mut titles = format!(
        "policy|>kept %|KV|>cache MB|>times smaller|>KL, {chose}|>KL, {certify}|>agreement %|>NLL increase"
    );
    tasks.iter().for_each(|task| titles += &format!("|>{task} lost %"));
    titles += if with_times { "|>planning ms|>ms per token" } else { "" };
    let mut table = Table::titled(caption, &titles);
    for candidate in candidates {
        let mut cells = quality_cells(question, candidate);
        cells.extend(tasks.iter().map(|task| optional(loss(question, candidate, *task), percent)));
        if with_times {
            let times = [candidate.cell.plan_seconds, candidate.cell.decode_seconds];
            cells.extend(times.map(|seconds| optional(seconds.map(|s| 1e3 * s), |ms| significant(ms, 3))));
        }
        table.row(candidate.cell.policy.clone(), cells);
    }
    table.note(format!(
        "KL and NLL are in nats. Every column except the KL of {chose} texts is measured on {certify} texts. The rows have {} in \
         the cache.",
        counted_tokens(question.measured.context)
    ));
    for scores in
        tasks.iter().filter_map(|task| candidates.iter().find_map(|c| c.cell.certifying.task(*task)))
    {
        table.note(format!("The contexts of {} have {}.", scores.task, counted_tokens(scores.tokens)));
    }
    if with_times {
        table.note(format!(
            "Times are those of the machine that measured the rows, at {}.",
            counted_tokens(question.measured.context)
        ));
    }
    table
}

/// Returns the cells of a row from the kept fraction to the increase of the NLL.
fn quality_cells(question: &Question<'_>, candidate: &Candidate<'_>) -> Vec<String> {
    let Candidate { cell, cache_bytes, .. } = candidate;
    let nats = |value: Option<f64>| optional(value, |value| significant(value, 3));
    vec![
        percent(cell.kept),
        cell.kv.to_string(),
        megabytes(*cache_bytes as f64),
        significant(question.memory.full_cache as f64 / *cache_bytes as f64, 3),
        nats(cell.choosing.mean_kl()),
        nats(cell.certifying.mean_kl()),
        optional(cell.certifying.mean_agreement(), percent),
        nats(cell.certifying.mean_nll()),
    ]
}

/// Returns the tasks that are limited, or otherwise the first tasks that a candidate was measured on, as many
/// as the table has room for.
fn shown_tasks(question: &Question<'_>, candidates: &[Candidate<'_>]) -> Vec<ScoredTask> {
    let limited = question.limits.losses.iter().map(|limit| limit.task);
    let scores = candidates.iter().flat_map(|candidate| &candidate.cell.certifying.tasks);
    let mut tasks = unique(limited.chain(scores.map(|scores| scores.task)));
    tasks.truncate(question.limits.losses.len().max(TASKS));
    tasks
}

/// Returns the share of the full cache's right answers that are lost on the contexts that certify.
fn loss(question: &Question<'_>, candidate: &Candidate<'_>, task: ScoredTask) -> Option<f64> {
    let full = question.measured.reference()?;
    candidate.cell.certifying.loss(task, &full.certifying)
}
