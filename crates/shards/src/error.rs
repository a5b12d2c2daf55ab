//! [`Error`] lists why shards cannot be merged.

use bitkv_record::{RecordError, Shard};
use std::path::PathBuf;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why shards cannot be merged. Every message is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder is neither a shard nor a folder of shards.
    #[error(
        "'{}' is neither a finished shard nor a folder with shards: name folders that `bitkv run --shard` wrote",
        .path.display()
    )]
    NoShards {
        /// The folder.
        path: PathBuf,
    },
    /// A folder is a run, but not a shard of one.
    #[error(
        "'{}' is a whole run and no shard of one: name folders that `bitkv run --shard` wrote, or use this run as \
         it is", .path.display()
    )]
    WholeRun {
        /// The folder.
        path: PathBuf,
    },
    /// Two shards are parts of different runs.
    #[error(
        "'{}' and '{}' do not belong together, because they differ in {what}: {remedy}", .first.display(),
        .other.display()
    )]
    Different {
        /// The first shard.
        first: PathBuf,
        /// A shard that differs from it.
        other: PathBuf,
        /// What differs.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The list of contexts of a shard cannot be right.
    #[error("'{}' {reason}: run this shard again", .path.display())]
    Contexts {
        /// The folder of the shard.
        path: PathBuf,
        /// The end of the sentence.
        reason: String,
    },
    /// A file is not the one that the shard wrote.
    #[error(
        "'{}' was changed after shard {shard} was finished: put the original file back, or run this shard again",
        .path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The shard.
        shard: Shard,
    },
    /// Two shards have different values for one row.
    #[error(
        "'{}' and '{}' both have the row {key}, with different values: find out which of them is right, and leave the \
         other out", .first.display(), .other.display()
    )]
    Conflict {
        /// The file of one shard.
        first: PathBuf,
        /// The file of the other shard.
        other: PathBuf,
        /// The key of the row.
        key: String,
    },
    /// The merged run would be written into a shard.
    #[error("'{}' is in the shard '{}': write the run to another folder", .out.display(), .shard.display())]
    Inside {
        /// The run.
        out: PathBuf,
        /// The shard.
        shard: PathBuf,
    },
    /// Shards are missing.
    #[error("{0}")]
    Missing(crate::Missing),
    /// A file cannot be read or written.
    #[error(transparent)]
    Record(Box<RecordError>),
}

impl From<RecordError> for Error {
    fn from(error: RecordError) -> Error {
        Error::Record(Box::new(error))
    }
}
