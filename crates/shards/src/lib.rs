//! Divides a run into shards, and merges shards into a run.
//!
//! [`assign()`] gives every context of a run to one of its shards. Each shard is a run of its own, with a
//! `contexts.csv` that lists its contexts by their number in the whole run. [`Shards::open`] reads the
//! manifests and the lists of all shards, and checks that they belong together. [`Shards::merge`] checks that
//! no context is missing, and copies the rows in the order of the whole run.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod assign;
mod claims;
mod error;
mod failures;
mod merge;
mod missing;
mod open_files;
mod row_writer;
mod shards;
mod shell;

pub use assign::assign;
pub use error::{Error, Result};
pub use failures::FailedCell;
pub use merge::{Merged, UnfinishedMerge};
pub use missing::{Missing, MissingShard};
pub use shards::Shards;
pub use shell::quoted;
