//! What a sweep costs as shards on a cluster.
//!
//! [`Point`]s are measured processes, [`Work`] is what they did, and [`ShardCost`] and [`Overheads`] are fitted
//! to them. [`validate`] predicts runs that were not fitted. A simulation of nodes and a file system projects
//! the cost to shapes, lengths and numbers of nodes that nobody has measured here; `docs/SCALING.md` has the
//! tables and the assumptions.

#![forbid(unsafe_code)]

mod assign;
mod count;
mod error;
mod least_squares;
mod model;
mod point;
mod shape;
#[cfg(test)]
mod synthetic;
mod validation;
mod work;

pub use assign::assign;
pub use count::count;
pub use error::{Error, Result};
pub use least_squares::non_negative;
pub use model::{ASSUMED, COEFFICIENTS, MergeCost, NAMES, Overheads, ShardCost};
pub use point::{Pass, Point, Step, WORK_COLUMNS, read_points, work_line};
pub use shape::{BITNET_2B, LIKE_8B, LIKE_70B, PROJECTED, Shape, TINY_GQA, TINY_MHA};
pub use validation::{Check, FITTED_SHARDS, TOLERANCE, validate};
pub use work::Work;
