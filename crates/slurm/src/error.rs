//! Why shards could not be submitted, or their status could not be read.

use std::{io, path::PathBuf};

/// The result of a function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why shards could not be submitted, or their status could not be read. Every message is one sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program of Slurm is not installed.
    #[error(
        "the program {program} was not found: use a machine on which Slurm is installed, or run the shards without Slurm as `bitkv run DEFINITION --shard 1/N` does"
    )]
    NotInstalled {
        /// The name of the program.
        program: &'static str,
    },
    /// A program of Slurm could not be started.
    #[error("the program {program} could not be started ({source}): check that it can be executed")]
    NotStarted {
        /// The name of the program.
        program: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A program of Slurm ended with an error.
    #[error(
        "{program} failed with '{reason}': change what it names, or ask the administrator of the cluster"
    )]
    Refused {
        /// The name of the program.
        program: &'static str,
        /// The first line of its error output.
        reason: String,
    },
    /// The answer of `sbatch` has no job number.
    #[error(
        "sbatch answered '{answer}' instead of a job number: check with squeue whether it has submitted the job, and which sbatch is first in PATH"
    )]
    NoJobNumber {
        /// The first line of the answer.
        answer: String,
    },
    /// The cluster allows fewer tasks in an array.
    #[error(
        "--shards {shards}: the cluster allows task numbers up to {allowed} (MaxArraySize): use at most {allowed} shards"
    )]
    TooManyShards {
        /// The number of shards.
        shards: usize,
        /// The highest number of a task.
        allowed: usize,
    },
    /// The jobs of an earlier submission have not ended.
    #[error("{} of the jobs that were submitted for {out} are still in the queue: wait until they end, or cancel them with `bitkv slurm cancel {out}`", .tasks)]
    StillQueued {
        /// The path of the merged run.
        out: String,
        /// The number of tasks in the queue, with the merge job.
        tasks: usize,
    },
    /// The definition has changed since the first submission.
    #[error(
        "the definition {definition} has changed since {out} was submitted: choose another --out for the new definition, or restore the old one"
    )]
    OtherDefinition {
        /// The path of the definition.
        definition: String,
        /// The path of the merged run.
        out: String,
    },
    /// The number of shards is not that of the first submission.
    #[error(
        "--shards {asked}: {out} was submitted as {submitted} shards: use --shards {submitted}, or choose another --out"
    )]
    OtherShards {
        /// The number of shards that was asked for.
        asked: usize,
        /// The number of shards of the first submission.
        submitted: usize,
        /// The path of the merged run.
        out: String,
    },
    /// The merged run exists.
    #[error("the run {out} is finished: choose another --out, or remove it first")]
    Finished {
        /// The path of the merged run.
        out: String,
    },
    /// Nothing was submitted for this run.
    #[error("nothing was submitted for {out}, because there is no file {}: name the --out of a `bitkv slurm submit`", .record.display())]
    NotSubmitted {
        /// The path of the merged run.
        out: String,
        /// The file that is missing.
        record: PathBuf,
    },
    /// `slurm.json` is not valid.
    #[error("{} is not valid ({source}): restore the file, or move the folder away and submit again", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Where in the text and why.
        source: serde_json::Error,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file or a folder could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file or the folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A path is not a text, so that it cannot be in a script.
    #[error("the path {} cannot be written into a script: use a path of UTF-8 without control characters and backslashes", .path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// The value of an option cannot be in a script.
    #[error("{option} {value:?}: write a value without control characters")]
    Value {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
    },
    /// An option for `sbatch` does not have the form of one.
    #[error("--sbatch {value:?}: write an option of sbatch that begins with --, such as --gres=gpu:1")]
    NotAnOption {
        /// The text.
        value: String,
    },
    /// A time limit does not have a form that Slurm reads.
    #[error(
        "--time {value}: write minutes, HOURS:MINUTES:SECONDS or DAYS-HOURS, such as 90, 1:30:00 or 2-12"
    )]
    TimeLimit {
        /// The text.
        value: String,
    },
    /// The signal would come before the job starts.
    #[error(
        "--signal-before {seconds}: the time limit is {limit_seconds} s, so use fewer seconds or a longer --time"
    )]
    SignalBefore {
        /// The seconds between the signal and the end of the job.
        seconds: u64,
        /// The seconds of the time limit.
        limit_seconds: u64,
    },
}
