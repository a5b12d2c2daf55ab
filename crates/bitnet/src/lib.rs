//! BitNet b1.58 on candle: checkpoints, tokenizer, forward pass, a per-head KV cache that can keep a
//! plan, probes, and generation.
//!
//! ```text
//! Checkpoint::open -> Model::load -> Model::forward(tokens, cache, observe) -> Output -> Model::logits
//! ```
//!
//! Activations are f32 throughout, ternary products exact integers, keys and values f16. Every result of
//! a token depends on that token and the cache only, so that one prefill and token-by-token decoding
//! give the same bits.

mod attention;
mod cache;
mod checkpoint;
mod config;
mod config_read;
mod dense;
mod error;
mod generate;
mod json;
mod layout;
mod linear;
mod masked;
mod mlp;
mod model;
mod norm;
mod probe;
mod rope;
mod save;
mod tensors;
mod ternarise;
mod tokenizer;

pub use cache::{Cache, CacheShape, CacheView, KvCache};
pub use checkpoint::Checkpoint;
pub use config::{Activation, Architecture, Config, ScaleRule, WeightFormat};
pub use error::{Error, Result};
pub use generate::{AfterPrefill, Generated, GenerationOptions, Sampling, Stop, generate};
pub use layout::{LinearShape, NormShape};
pub use masked::MaskedCache;
pub use model::{Model, Output};
pub use probe::{Observe, Observed};
pub use save::{FloatType, PackedTypes, write_packed};
pub use ternarise::Ternarised;
pub use tokenizer::{TextStream, Tokenizer};
