//! What a sweep costs as shards on a cluster.
//!
//! [`Point`]s are measured processes, [`Work`] is what they did, and [`ShardCost`] and [`Overheads`] are
//! fitted to them. [`validate`] predicts runs that were not fitted.
//!
//! A simulation of nodes and a file system projects the cost to shapes, lengths and numbers of nodes that
//! nobody has measured here. The tables and the assumptions are in `docs/SCALING.md`.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod assign;
mod bandwidth;
mod cluster;
mod count;
mod error;
mod least_squares;
mod limits;
mod metadata;
mod model;
mod point;
mod projection;
mod shape;
mod simulation;
mod speed;
mod study;
#[cfg(test)]
mod synthetic;
mod tables;
mod time;
mod units;
mod validation;
mod work;

pub use assign::assign;
pub use cluster::{Cluster, TYPICAL};
pub use count::count;
pub use error::{Error, Result};
pub use least_squares::non_negative;
pub use limits::{Cause, limit};
pub use model::{ASSUMED, COEFFICIENTS, MergeCost, NAMES, Overheads, ShardCost};
pub use point::{Pass, Point, Step, read_points};
pub use projection::{LENGTHS, NODES, Projection, project, project_study};
pub use shape::{BITNET_2B, LIKE_8B, LIKE_70B, PROJECTED, Shape, TINY_GQA, TINY_MHA};
pub use simulation::{Outcome, simulate};
pub use speed::{MEASURED, MeasuredSpeed, Speed};
pub use study::{ContextCost, Job, Study, snapshot_bytes};
pub use tables::{Table, measured_tables, projected_tables};
pub use validation::{Check, FITTED_SHARDS, TOLERANCE, validate};
pub use work::Work;
