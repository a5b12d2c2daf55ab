//! The presses of NVIDIA's kvpress as policies of `bitkv-evict`. They keep the same positions as kvpress, and
//! have its names, options, defaults and arithmetic, so that results of the two suites can be compared. If
//! kvpress differs from the paper of a method, the press follows kvpress, and the method of `bitkv-evict`
//! follows the paper.
//!
//! [`presses()`] adds every press to a registry. A press (`Press`) reads one layer at a time (`Layer`): its
//! tokens compete by score for the places that the budget allows (`Contest`). If scores are equal, a press
//! keeps the tokens that `torch.topk` selects on a CPU, as kvpress does there. [`undecided()`] lists the
//! positions that depend on such ties, or on less than a rounding error.
//!
//! The crate uses only the public interface that `bitkv-evict` offers to authors of methods.
//!
//! ```
//! use bitkv_evict::{Budget, Need, Observation, Registry, Shape};
//!
//! let registry = bitkv_kvpress::presses(Registry::standard())?;
//! let shape = Shape { layers: 1, query_heads: 1, kv_heads: 1, tokens: 4, head_dim: 1 };
//! let keys = [4.0f32, 1.0, 2.0, 3.0];
//! let seen = Observation::new(shape).with_rows(Need::Keys, [&keys]);
//! let plan = registry.policy("kvpress:knorm")?.plan(&seen, Budget::ratio(0.5)?)?;
//! assert_eq!(plan.kept(0, 0), [1, 2]);
//! # Ok::<(), bitkv_evict::Error>(())
//! ```
//!
//! Source: <https://github.com/NVIDIA/kvpress>, versions 0.5.4 and 0.5.5, folder `kvpress/presses`.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod adakv;
mod block;
mod checks;
mod chunkkv;
mod contest;
mod critical;
mod critical_adakv;
mod cur;
mod expected_attention;
mod keydiff;
mod knorm;
mod lagkv;
mod layer;
mod observed_attention;
mod press;
mod presses;
mod pyramidkv;
mod score_cache;
mod snapkv;
mod streaming_llm;
mod ties;
mod top;
mod tova;
mod undecided;

pub use presses::presses;
pub use undecided::undecided;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
