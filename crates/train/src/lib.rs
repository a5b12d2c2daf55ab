//! Quantisation-aware training of small BitNets: from a folder of text to a checkpoint that `bitkv-bitnet`
//! loads.
//!
//! The trained weights are full-precision master weights in f32. The forward pass uses ternary weights and
//! int8 activations, and gradients pass straight through both roundings (Bengio et al. 2013, arXiv:1308.3432;
//! Ma et al. 2024, arXiv:2402.17764).
//!
//! A [`Recipe`](recipe::Recipe) describes a model and its training, and a [`Corpus`](corpus::Corpus) holds
//! the text as tokens. A [`Trainer`](trainer::Trainer) runs the recipe on the corpus and writes a log and
//! checkpoints, from which an interrupted run resumes. [`export`](export::export) writes the trained model as
//! a packed checkpoint with its tokenizer and model card. `bitkv train` does all of this.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod baseline;
mod card;
#[allow(clippy::disallowed_methods, reason = "a training checkpoint is a file of this program")]
pub mod checkpoint;
pub mod corpus;
pub mod data_hashes;
mod error;
pub mod evaluate;
pub mod export;
mod hugging_face;
pub mod model;
pub mod ops;
pub mod optimizer;
pub mod recipe;
pub mod resources;
pub mod tasks;
pub mod trainer;
pub mod vocabulary;
mod weight_init;

pub use error::{Error, Result};
