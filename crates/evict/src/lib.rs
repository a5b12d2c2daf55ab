//! Which cached tokens to keep, as a pure function of what was observed.
//!
//! A [`Policy`] is three choices that vary independently: an [`Allocator`] divides the
//! budget among KV heads, a [`Scorer`] ranks the tokens inside one head, and a guard
//! keeps the first and last tokens whatever their score. Because budgets, rounding and
//! selection are shared code, two such policies given the same budget keep exactly the
//! same number of tokens. A [`Rule`] is a policy by itself; those that were [`published`] do not
//! keep what they are asked for.
//!
//! [`Policy::plan`] turns an [`Observation`] and a [`Budget`] into a [`Plan`], which is
//! plain data: this crate never touches a tensor or a model. A [`Planner`] makes many plans of
//! one observation and scores its tokens once for all that share a scorer. A cache that was compressed
//! before, whose heads hold different tokens, can be compressed again.
//!
//! ```
//! use bitkv_evict::{Budget, Observation, Policy, Shape};
//!
//! let shape = Shape { layers: 1, query_heads: 2, kv_heads: 1, tokens: 8, head_dim: 0 };
//! let policy = Policy::parse("uniform+recency{sinks=1}")?;
//! let plan = policy.plan(&Observation::new(shape), Budget::fraction(0.5)?)?;
//! assert_eq!(plan.kept(0, 0), [0, 5, 6, 7]);
//! # Ok::<(), bitkv_evict::Error>(())
//! ```
//!
//! # A method of your own
//!
//! [`method!`] declares one in any crate; [`Scorer`], [`Allocator`] or [`Rule`] says what it does.
//! [`Policy::builder`] makes a policy of it by value; a [`Registry`] lets specifications name it beside the
//! [`scorers`] and [`allocators`] of this crate. [`formulas`], [`select`] and [`checks`] are what
//! these are made of. The file `examples/own_scorer/main.rs` shows all of it.

#![forbid(unsafe_code)]

// `method!` derives with the serde that is exported here, and finds it by this crate's name.
extern crate self as bitkv_evict;

#[macro_use]
mod method;

#[doc(hidden)]
pub mod derive;

pub mod allocators;
pub mod checks;
pub mod conformance;
pub mod formulas;
pub mod published;
pub mod scorers;
pub mod select;

mod allocator;
mod budget;
mod builder;
mod composed;
mod entry;
mod error;
mod full;
mod guard;
mod head;
mod listing;
mod memo;
mod needs;
mod observation;
mod options;
mod parse;
mod past_rows;
mod plan;
mod planner;
mod policy;
mod pooling;
mod preset;
mod presets;
mod reason;
mod registry;
mod role;
mod rule;
mod rules;
mod scorer;
mod shape;
mod spec;

pub use allocator::{Allocator, Division};
pub use budget::Budget;
pub use builder::PolicyBuilder;
pub use error::Error;
pub use full::Full;
pub use guard::Guard;
pub use head::Head;
pub use listing::{Listing, PolicyKind};
pub use memo::Memo;
pub use method::Method;
pub use needs::{Need, Needs, Reads};
pub use observation::Observation;
pub use options::Options;
pub use past_rows::PastRows;
pub use plan::Plan;
pub use planner::Planner;
pub use policy::Policy;
pub use pooling::{Group, Pooling};
pub use preset::Preset;
pub use reason::Reason;
pub use registry::Registry;
pub use role::Role;
pub use rule::Rule;
pub use scorer::Scorer;
pub use shape::Shape;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
