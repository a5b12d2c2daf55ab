//! The status of one shard.

use serde::Serialize;

use super::SlurmAnswer;
use crate::{EndedTask, PlannedShard, QueuedTask, Record};

/// The exit code of `bitkv run` when the same command resumes the run.
const STOPPED: i32 = 75;
/// The exit codes of `bitkv run` after SIGINT and SIGTERM.
const BY_SIGNAL: [i32; 2] = [130, 143];

/// The state of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ShardState {
    /// Its run folder is written.
    Done,
    /// Its task runs.
    Running,
    /// Its task waits and has not run.
    Queued,
    /// Its task waits and has run before. The shard resumes.
    Requeued,
    /// Its task has ended before the shard was done. The shard resumes when it is submitted again.
    Stopped,
    /// Its task has ended with an error.
    Failed,
    /// Its task was cancelled.
    Cancelled,
    /// Slurm does not know its task, and it has no rows.
    Missing,
}

impl ShardState {
    /// All states, in the order of a summary.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Running,
        Self::Queued,
        Self::Requeued,
        Self::Stopped,
        Self::Failed,
        Self::Cancelled,
        Self::Missing,
    ];

    /// Returns the name of the state in tables and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Queued => "queued",
            Self::Requeued => "requeued",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Missing => "missing",
        }
    }
}

/// The status of one shard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShardStatus {
    /// The number of the shard, from 1.
    pub shard: usize,
    /// Its state.
    pub state: ShardState,
    /// The number of rows that are written.
    pub rows_written: usize,
    /// The number of its rows of all kinds, without timings.
    pub rows: usize,
    /// The seconds since its task last started. `None` if the task does not run.
    pub seconds_elapsed: Option<u64>,
    /// The estimated seconds of work that are left. `None` if it is done.
    pub seconds_left: Option<f64>,
    /// How often Slurm has restarted its task.
    pub restarts: usize,
    /// Why it waits, stopped or failed.
    pub reason: Option<String>,
}

impl ShardStatus {
    /// Combines the plan of a shard, its files and what Slurm knows. `pace` is the factor by which shards
    /// take longer than planned.
    pub(super) fn new(
        planned: &PlannedShard,
        finished: bool,
        written: Option<usize>,
        pace: f64,
        record: &Record,
        answer: &SlurmAnswer,
    ) -> Self {
        let latest = record.submissions.last().filter(|latest| latest.shards.contains(&planned.shard));
        let array = latest.and_then(|latest| latest.array_job);
        let is_task = |task: &&QueuedTask| Some(task.job) == array && task.task == Some(planned.shard);
        let queued = answer.queue.iter().find(is_task);
        let ended = answer.ended.iter().find(|task| task.task == Some(planned.shard));
        // Tasks that were cancelled before they started have no numbers.
        let ended = ended
            .or_else(|| answer.ended.iter().find(|task| task.task.is_none()))
            .filter(|_| array.is_some());
        let (state, reason) = match (finished, queued, ended) {
            (true, ..) => (ShardState::Done, None),
            (_, Some(task), _) => (queued_state(task), task.reason.clone()),
            (_, None, Some(task)) => ended_state(task, planned.shard),
            (_, None, None) if written.is_some_and(|rows| rows > 0) => (ShardState::Stopped, None),
            _ => (ShardState::Missing, None),
        };
        let rows_written = if finished { planned.rows } else { written.unwrap_or(0).min(planned.rows) };
        let share = 1.0 - rows_written as f64 / planned.rows.max(1) as f64;
        Self {
            shard: planned.shard,
            state,
            rows_written,
            rows: planned.rows,
            seconds_elapsed: queued.filter(|_| state == ShardState::Running).map(|task| task.elapsed_seconds),
            seconds_left: (!finished).then_some(planned.seconds * share * pace),
            restarts: queued.map(|task| task.restarts).or(ended.map(|task| task.restarts)).unwrap_or(0),
            reason,
        }
    }
}

fn queued_state(task: &QueuedTask) -> ShardState {
    match task.state.as_str() {
        "PENDING" if task.restarts > 0 => ShardState::Requeued,
        "PENDING" => ShardState::Queued,
        _ => ShardState::Running,
    }
}

/// Returns the state of a shard without a run folder whose task has ended, and why.
fn ended_state(task: &EndedTask, shard: usize) -> (ShardState, Option<String>) {
    let log = format!("see logs/{shard}.log");
    let (state, reason) = match (task.state.as_str(), task.exit_code) {
        ("CANCELLED", _) => return (ShardState::Cancelled, None),
        ("TIMEOUT", _) => (ShardState::Stopped, "it reached its time limit".to_owned()),
        ("PREEMPTED", _) => (ShardState::Stopped, "another job took its node".to_owned()),
        ("FAILED", STOPPED) => (ShardState::Stopped, log),
        ("FAILED", code) if BY_SIGNAL.contains(&code) => {
            (ShardState::Stopped, "a signal ended it".to_owned())
        }
        ("OUT_OF_MEMORY", _) => (ShardState::Failed, "out of memory: give it more with --mem".to_owned()),
        ("NODE_FAIL", _) => (ShardState::Failed, "its node failed".to_owned()),
        ("COMPLETED", _) => (ShardState::Failed, format!("it ended without its run folder: {log}")),
        ("FAILED", code) if task.signal == 0 => (ShardState::Failed, format!("exit code {code}: {log}")),
        (state, _) => (ShardState::Failed, format!("{}: {log}", state.to_lowercase().replace('_', " "))),
    };
    (state, Some(reason))
}
