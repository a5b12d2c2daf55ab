//! Decides which tokens of a KV cache to keep, as a pure function of observations of the cache.
//!
//! A [`Policy`] makes three choices that vary independently. An [`Allocator`] divides the budget among KV
//! heads. A [`Scorer`] ranks the tokens of one head. A [`Guard`] keeps the first and last tokens regardless
//! of their scores. Budgets, rounding and selection are shared code, so any two policies made of an allocator
//! and a scorer keep exactly the same number of tokens at the same budget. A [`Rule`] is a complete policy on
//! its own. The [`published`] rules do not keep the number of tokens that they are asked for.
//!
//! [`Policy::plan`] turns an [`Observation`] and a [`Budget`] into a [`Plan`]. Observation, budget and plan
//! are plain data: this crate never touches a tensor or a model. [`Policy::needs`] lists what must be
//! observed. A [`Planner`] makes many plans of one observation, and computes scores once for all policies
//! that share a scorer. A cache whose heads already hold different tokens can be compressed again.
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
//! Declare a struct with [`method!`], in any crate, and implement [`Scorer`], [`Allocator`] or [`Rule`] for
//! it. [`Policy::builder`] builds a policy from its value; a [`Registry`] lets specifications name it,
//! together with the [`scorers`] and [`allocators`] of this crate. [`conformance`] checks it. The building
//! blocks are [`formulas`], [`select`] and [`checks`]. The file `examples/own_scorer/main.rs` shows all of
//! this.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

// `method!` derives with the serde that is re-exported here, and finds it by the name of this crate.
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
pub use pooling::{EntropyPooling, Pooling};
pub use preset::Preset;
pub use reason::Reason;
pub use registry::Registry;
pub use role::Role;
pub use rule::Rule;
pub use scorer::Scorer;
pub use shape::Shape;

/// Tests the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
