//! Which cached tokens to keep, as a pure function of what was observed.
//!
//! A [`Policy`] is three choices that vary independently: an [`Allocator`] divides the
//! budget among KV heads, a [`Scorer`] ranks the tokens inside one head, and a guard
//! keeps the first and last tokens whatever their score. Because budgets, rounding and
//! selection are shared code, two such policies given the same budget keep exactly the
//! same number of tokens. The rules that were [`published`] do not, and are kept apart.
//!
//! [`Policy::plan`] turns an [`Observation`] and a [`Budget`] into a [`Plan`], which is
//! plain data: this crate never touches a tensor or a model. A [`Planner`] makes many plans of
//! one observation and scores its tokens once for all that share a scorer. A cache that was cut
//! before, whose heads hold different tokens, can be cut again.
//!
//! ```
//! use bitkv_evict::{Budget, Observation, Policy, Shape};
//!
//! let shape = Shape { layers: 1, query_heads: 2, kv_heads: 1, tokens: 8, head_dim: 0 };
//! let policy = Policy::parse("uniform+recency{sinks=1}")?;
//! let plan = policy.plan(&Observation::of(shape), Budget::fraction(0.5)?)?;
//! assert_eq!(plan.kept(0, 0), [0, 5, 6, 7]);
//! # Ok::<(), bitkv_evict::Error>(())
//! ```

#[macro_use]
mod method;

pub mod allocators;
pub mod published;
pub mod scorers;

mod budget;
mod checks;
mod error;
mod formulas;
mod guard;
mod head;
mod kvpress;
mod needs;
mod observation;
mod options;
mod plan;
mod planner;
mod policy;
mod pooling;
mod presets;
mod registry;
mod rules;
mod select;
mod shape;
mod spec;

pub use allocators::{Allocator, Division};
pub use budget::Budget;
pub use error::Error;
pub use guard::Guard;
pub use head::Head;
pub use needs::{Need, Needs, Reads};
pub use observation::Observation;
pub use plan::Plan;
pub use planner::Planner;
pub use policy::Policy;
pub use pooling::{Group, Pooling};
pub use presets::{PRESETS, Preset};
pub use registry::{Entry, Kind, Listing, Role, registry};
pub use scorers::Scorer;
pub use shape::Shape;
