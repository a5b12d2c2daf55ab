//! The status of every shard.

mod shard;

use std::path::PathBuf;

use serde::Serialize;

pub use shard::{ShardState, ShardStatus};

use crate::{
    EndedTask, Layout, QueuedTask, Record, Result, Slurm,
    progress::{measured_seconds, rows_written},
};

/// What Slurm knows about the latest submission.
#[derive(Clone, Debug, Default)]
pub struct SlurmAnswer {
    /// The tasks in the queue.
    pub queue: Vec<QueuedTask>,
    /// The tasks of the array that have ended.
    pub ended: Vec<EndedTask>,
    /// The merge job, if it has ended.
    pub merge: Option<EndedTask>,
}

impl SlurmAnswer {
    /// Asks Slurm about the jobs of the latest submission.
    ///
    /// # Errors
    /// When Slurm is not installed or does not answer.
    pub fn ask(record: &Record, slurm: Slurm) -> Result<Self> {
        let Some(latest) = record.submissions.last() else { return Ok(Self::default()) };
        let ended = |job: Option<u64>| job.map_or(Ok(Vec::new()), |job| slurm.ended(job));
        Ok(Self {
            queue: slurm.queue(&latest.jobs())?,
            ended: ended(latest.array_job)?,
            merge: ended(latest.merge_job)?.pop(),
        })
    }
}

/// The state of the merge job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeState {
    /// The merged run is written.
    Done,
    /// The job runs.
    Running,
    /// The job waits for the shards, or for a node.
    Queued,
    /// The job has ended without the merged run. Its log says why.
    Failed,
    /// The job was cancelled.
    Cancelled,
    /// Slurm does not know the job, and there is no merged run.
    Missing,
}

/// The status of a run that was submitted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The merged run.
    pub out: PathBuf,
    /// Every shard, in the order of their numbers.
    pub shards: Vec<ShardStatus>,
    /// The merge job.
    pub merge: MergeState,
    /// The log of the merge job.
    pub merge_log: PathBuf,
    /// The number of rows of all kinds that are written.
    pub rows_written: usize,
    /// The number of rows of all kinds, without timings.
    pub rows: usize,
    /// The estimated seconds until all shards are done, with as many tasks at a time as run now. `None` if
    /// no task runs.
    pub seconds_left: Option<f64>,
}

impl Status {
    /// Combines what was submitted, what Slurm says, and the files of the shards.
    pub fn new(record: &Record, layout: &Layout, answer: &SlurmAnswer) -> Self {
        let pace = pace(record, layout);
        let shards: Vec<ShardStatus> = record
            .shards
            .0
            .iter()
            .map(|planned| {
                let written = rows_written(layout, planned.shard, record.shards.shards());
                let finished = layout.is_finished(planned.shard, record.shards.shards());
                ShardStatus::new(planned, finished, written, pace, record, answer)
            })
            .collect();
        Self {
            out: record.out.clone(),
            merge: merge_state(record, layout, answer),
            merge_log: layout.logs().join("merge.log"),
            rows_written: shards.iter().map(|shard| shard.rows_written).sum(),
            rows: record.shards.rows(),
            seconds_left: seconds_left(&shards),
            shards,
        }
    }

    /// Returns the number of shards in a state.
    pub fn count(&self, state: ShardState) -> usize {
        self.shards.iter().filter(|shard| shard.state == state).count()
    }

    /// Returns one line about the whole run.
    pub fn summary(&self) -> String {
        let mut counts =
            vec![format!("{} of {} shards done", self.count(ShardState::Done), self.shards.len())];
        for state in ShardState::ALL.into_iter().filter(|state| *state != ShardState::Done) {
            match self.count(state) {
                0 => {}
                count => counts.push(format!("{count} {}", state.name())),
            }
        }
        let left = self.seconds_left.map(|seconds| format!("; about {} left", duration(seconds)));
        format!(
            "{}; {} of {} rows{}",
            counts.join(", "),
            self.rows_written,
            self.rows,
            left.unwrap_or_default()
        )
    }
}

/// Returns a duration in words: `40 s`, `12 min` or `3 h 20 min`.
fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).ceil() as u64;
    match (seconds, minutes) {
        (..100.0, _) => format!("{seconds:.0} s"),
        (_, ..100) => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// Returns by which factor finished shards took longer than planned; 1 if no shard is finished.
fn pace(record: &Record, layout: &Layout) -> f64 {
    let measured = record.shards.0.iter().filter_map(|planned| {
        let seconds = measured_seconds(layout, planned.shard, record.shards.shards())?;
        Some((seconds, planned.seconds))
    });
    let (taken, planned) = measured.fold((0.0, 0.0), |(a, b), (taken, planned)| (a + taken, b + planned));
    if taken > 0.0 && planned > 0.0 { taken / planned } else { 1.0 }
}

/// Returns the seconds until all shards are done if as many tasks run at a time as now.
fn seconds_left(shards: &[ShardStatus]) -> Option<f64> {
    let running = shards.iter().filter(|shard| shard.state == ShardState::Running).count();
    let left = || shards.iter().filter_map(|shard| shard.seconds_left);
    (running > 0).then(|| (left().sum::<f64>() / running as f64).max(left().fold(0.0, f64::max)))
}

fn merge_state(record: &Record, layout: &Layout, answer: &SlurmAnswer) -> MergeState {
    let job = record.submissions.last().and_then(|latest| latest.merge_job);
    let queued = answer.queue.iter().find(|task| Some(task.job) == job);
    match (queued.map(|task| task.state.as_str()), &answer.merge) {
        _ if layout.out().join("manifest.json").is_file() => MergeState::Done,
        (Some("PENDING"), _) => MergeState::Queued,
        (Some(_), _) => MergeState::Running,
        (None, Some(task)) if task.state == "CANCELLED" => MergeState::Cancelled,
        (None, Some(_)) => MergeState::Failed,
        (None, None) => MergeState::Missing,
    }
}
