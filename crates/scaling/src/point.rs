//! Measured points: what one process of a sharded run took, and the work that it did.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, Work};

/// What a process did with snapshots of prefills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// It neither read nor wrote any.
    None,
    /// It read every context and wrote its snapshot.
    Write,
    /// It found all snapshots and read no context.
    Read,
}

impl Pass {
    /// All passes, in the order of tables.
    pub const ALL: [Pass; 3] = [Pass::None, Pass::Write, Pass::Read];

    /// Returns the name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Pass::None => "none",
            Pass::Write => "write",
            Pass::Read => "read",
        }
    }
}

/// What a process was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// `bitkv run DEF --shard I/N`.
    Shard,
    /// `bitkv merge`.
    Merge,
}

/// One row of `results/scaling/points.csv`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Point {
    /// The machine: its number of cores and its processor.
    pub machine: String,
    /// The number of cores.
    pub cores: f64,
    /// What the process did with snapshots.
    pub pass: Pass,
    /// What the process was.
    pub step: Step,
    /// The number of shards of the run.
    pub shards: usize,
    /// The shard, as `--shard` counts; 0 for a merge.
    pub shard: usize,
    /// Seconds from the start to the end of the process.
    pub wall_seconds: f64,
    /// CPU seconds in user mode, over all threads.
    pub user_seconds: f64,
    /// CPU seconds in the kernel, over all threads.
    pub system_seconds: f64,
    /// The largest memory of the process in KiB.
    pub peak_kib: f64,
    /// Bytes of the snapshots that were written or read.
    pub snapshot_bytes: f64,
    /// Calls on files that name or synchronise one (open, create, rename, stat, fsync); empty without strace.
    pub file_operations: Option<f64>,
    /// The work that the process did; for a merge, that of the whole run.
    #[serde(flatten)]
    pub work: Work,
}

impl Point {
    /// Returns the CPU seconds in user mode and in the kernel.
    pub fn cpu_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}

/// Reads points. All must be of one machine, because coefficients belong to a machine.
///
/// # Errors
/// Returns an error if the file cannot be read, or if it has no point or those of several machines.
pub fn read_points(path: &Path) -> Result<Vec<Point>> {
    let remedy = "measure it with experiments/scaling/measure.sh";
    let text = bitkv_bytes::read_document(path, bitkv_bytes::limit::WRITTEN)
        .map_err(|cause| Error::in_file(path, cause, remedy))?;
    let points: Vec<Point> = csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .collect::<std::result::Result<_, _>>()
        .map_err(|cause| Error::in_file(path, cause, remedy))?;
    let Some(first) = points.first() else {
        return Err(Error::in_file(path, "it has no points", remedy));
    };
    if points.iter().any(|point| point.machine != first.machine) {
        let cause = "it has points of several machines";
        return Err(Error::in_file(path, cause, "keep the points of one machine in one file"));
    }
    Ok(points)
}
