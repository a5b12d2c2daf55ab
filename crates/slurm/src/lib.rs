//! Submits the shards of a run to Slurm as a job array, and shows the status of every shard.
//!
//! A [`Submission`] has everything that the two scripts depend on: the [`Plan`] of the shards, the
//! [`Options`] for Slurm, and the [`Layout`] of the folder `OUT.shards`. [`array_script`] and
//! [`merge_script`] return the texts of the scripts. [`Slurm`] runs the programs of Slurm. [`Record`] is the
//! file `slurm.json`, which says what was submitted, and [`Status`] combines it with what Slurm and the
//! journals of the shards say.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod directive;
mod ended_task;
mod error;
mod layout;
mod options;
mod plan;
mod programs;
mod progress;
mod queued_task;
mod record;
mod script;
mod status;
mod submission;
mod task_list;
mod time_limit;

pub use ended_task::EndedTask;
pub use error::{Error, Result};
pub use layout::Layout;
pub use options::Options;
pub use plan::{Plan, PlannedShard};
pub use programs::{JobId, Slurm};
pub use queued_task::QueuedTask;
pub use record::{Record, SubmittedJobs};
pub use script::{array_script, merge_script};
pub use status::{MergeState, ShardState, ShardStatus, SlurmAnswer, Status};
pub use submission::Submission;
