//! What NVIDIA's kvpress keeps, index for index, under its own names and with its own options,
//! defaults and arithmetic: so that its figures can be set beside those of `bitkv-evict`, and the methods of
//! both beside each other. Where a paper's own method differs, that of `bitkv-evict` follows the paper.
//!
//! A press reads one layer at a time. Of equal scores it keeps the first; kvpress keeps
//! whichever `torch.topk` happens to find; [`undecided()`] lists the positions that this concerns.
//!
//! The crate uses only what `bitkv-evict` offers to anybody who writes a method outside of it.
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
//! Source: <https://github.com/NVIDIA/kvpress>, versions 0.5.4 and 0.5.5, folder
//! `kvpress/presses`.

#![forbid(unsafe_code)]

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
mod tova;
mod undecided;

pub use presses::presses;
pub use undecided::undecided;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
