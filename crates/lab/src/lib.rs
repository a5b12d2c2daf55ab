//! The experiment engine: it measures KV-cache policies on models and writes the results as rows.
//!
//! ```text
//! Definition (TOML)                what to measure: models, texts, policies, budgets
//!   |  Grid::read                  loads the models, parses the policies, tokenises the texts
//!   v
//! Grid -> Job                      one experiment on one model in one form
//!           Unit                   one context, and the tokens or questions that are scored after it
//!           Cell                   one policy at one budget, with its axes (when, positions, cache format)
//!   |  grid::run                   for each Unit that lacks rows:
//!   v
//! Context + OwnedObservation       the Unit is prefilled once; the observation is all that policies read
//!   v
//! UnitMeasurer                     measures the missing Cells of the Unit in batches:
//!   Evictor                          evicts what the policy does not keep, from a copy of the cache
//!   batch::forward                   reads the continuation through all caches of a batch at once
//!   metrics::Reference               compares the logits with those of the full cache
//!   v
//! GridRow -> Journal -> rows.csv   rows are saved after each batch, so an interrupted run repeats few cells
//! ```
//!
//! The path of a token: a text is tokenised into a [`window::Window`], whose first tokens become the context
//! of a [`grid::Unit`] and whose next tokens become its continuation. [`context::Context`] prefills the
//! context once for all policies and budgets, and gathers what policies may read into an
//! [`observation::OwnedObservation`]. For each [`grid::Cell`], `bitkv-evict` plans which positions every KV
//! head keeps and the `Evictor` drops the others. The continuation then runs through the compressed cache,
//! [`metrics`] compares its logits with those of the full cache, and the result is one `GridRow` in the
//! `Journal` of the run. [`grid`] describes these steps; start there.
//!
//! [`tasks`] generates retrieval contexts with questions, [`calibration`] provides numbers about heads that
//! policies need (such as entropies, from [`profile`]), [`generation`] evicts during ordinary generation,
//! [`tensors`] plans for models that bitkv cannot run, [`verification`] makes the definition of the published
//! claims, and [`sweep`] that of a comparison of policies. This crate only measures; `bitkv-report`
//! interprets the rows.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod calibration;
pub mod context;
mod error;
mod evictor;
pub mod generation;
pub mod grid;
pub mod head_scores;
pub mod logits;
pub mod memory;
pub mod metrics;
pub mod observation;
pub mod plan_export;
pub mod profile;
pub mod reconstruction;
mod registry;
mod snapshots;
pub mod sweep;
pub mod tasks;
pub mod tensors;
pub mod text_use;
pub mod verification;
mod weights;
pub mod window;

pub use error::{Error, Result};
pub use registry::{registry, role_of};
pub use snapshots::Snapshots;
