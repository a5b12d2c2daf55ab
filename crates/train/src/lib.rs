//! Quantisation-aware training of small BitNets: from a folder of text to a checkpoint that `bitnet` loads.
//!
//! Masters stay in f32; the forward pass sees ternary weights and int8 activations, gradients pass
//! straight through both (Bengio et al. 2013, arXiv:1308.3432; Ma et al. 2024, arXiv:2402.17764).

#![forbid(unsafe_code)]

mod baseline;
mod card;
pub mod checkpoint;
pub mod corpus;
mod error;
pub mod evaluate;
pub mod export;
mod hugging_face;
pub mod model;
pub mod ops;
pub mod optimizer;
pub mod recipe;
mod start;
pub mod tasks;
pub mod trainer;
pub mod vocabulary;

pub use error::{Error, Result};
