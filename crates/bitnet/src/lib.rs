//! Runs BitNet b1.58 models, and Llamas and Qwens in full precision, on the CPU: an exact forward pass, a KV
//! cache that can evict different tokens in every head, attention probes, and text generation.
//!
//! ```text
//! Checkpoint::open -> Model::load -> Model::forward(tokens, cache, probes) -> Output -> Model::logits
//! ```
//!
//! This example loads a model, runs a prompt, evicts two thirds of the cache, and generates from the rest:
//!
//! ```
//! use bitkv_bitnet::{
//!     Checkpoint, GenerationOptions, KvCache, Model, Probes, Sampling, generate,
//! };
//!
//! let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-gqa");
//! let model = Model::load(&Checkpoint::open(folder)?)?;
//!
//! let mut cache = model.new_cache();
//! let prompt: Vec<u32> = (100..148).collect();
//! let probes = Probes { entropy: true, ..Probes::default() };
//! let output = model.forward(&prompt, &mut cache, Some(&probes))?;
//! let logits = model.logits(&output.hidden)?;
//! assert_eq!(logits.dims(), [48, model.config().vocab_size]);
//! assert_eq!(output.probed.unwrap().entropy.len(), model.config().num_hidden_layers);
//!
//! // Every head keeps the first four tokens and the last twelve.
//! // The plan may be different for each layer and KV head.
//! let bytes_before = cache.bytes();
//! cache.keep(&|_layer, _kv_head| (0..4).chain(36..48).collect())?;
//! assert_eq!(cache.bytes(), bytes_before / 3);
//!
//! let options = GenerationOptions {
//!     max_tokens: 8,
//!     stop: model.config().eos_token_ids.clone(),
//!     sampling: Sampling::Greedy,
//!     repetition_penalty: 1.0,
//! };
//! let generated = generate(&model, &[150, 151], &mut cache, &options, None, &mut |_token| true)?;
//! assert!(generated.tokens.len() <= 8);
//! # Ok::<(), bitkv_bitnet::Error>(())
//! ```
//!
//! # Where to start
//!
//! - [`Model`] holds the weights. It runs prompts ([`Model::prefill`]), single tokens ([`Model::decode`]) and
//!   batches of sequences ([`Model::forward_batch`]).
//! - [`Cache`] is the KV cache. Its trait [`KvCache`] has the operations: [`keep`](KvCache::keep) evicts,
//!   [`quantise`](KvCache::quantise) stores keys and values in fewer bits, and
//!   [`rerotate`](KvCache::rerotate) moves keys to new rotary positions.
//! - [`Probes`] selects what a forward pass observes, and [`ProbeOutput`] holds the result: entropies of
//!   attention, accumulated attention, keys, values, hidden states and more.
//! - [`generate`](fn@generate) and [`generate_batch`] generate text. A hook between prompt and generation may
//!   evict.
//! - [`mod@reference`] is a second, short implementation in plain candle; tests compare the fast path with
//!   it. [`mod@trace`] records every step of either implementation.
//! - [`BitLinear`] is a single layer of packed ternary weights as a candle module.
//!
//! # Numerics
//!
//! Activations are f32, and products with ternary weights are exact integer sums. Keys and values are f16
//! unless the cache has another [`CachePrecision`] or is [quantised](KvCache::quantise). The results of a
//! token depend only on that token and the cache, so a single prefill and token-by-token decoding give
//! bit-identical results. KIVI is the exception: it quantises at the end of each pass.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod attention;
mod bit_linear;
mod cache;
pub mod custom_op;
mod dense;
mod error;
mod finite;
mod forward;
mod generate;
mod linear;
mod lm_head;
mod mlp;
mod model;
mod moments;
mod norm;
pub mod output_norms;
mod probe;
mod recorder;
pub mod reference;
mod rope;
mod rotations;
mod sample;
mod steps;
pub mod trace;

pub use attention::Sequence;
pub use bit_linear::BitLinear;
pub use bitkv_checkpoint::{
    Activation, Architecture, Biases, Checkpoint, Config, FloatType, LinearShape, NormShape, PackedTypes,
    RopeScaling, ScaleRule, TernaryScale, WeightFormat, write_packed,
};
pub use bitkv_kernels::{
    attention::Floats,
    dense::{Arithmetic, Instructions},
};
#[cfg(feature = "masked-cache")]
pub use cache::MaskedCache;
pub use cache::{Cache, CachePrecision, CacheShape, CacheView, KvCache, Quantisation};
pub use error::{Error, Place, Result};
pub use generate::{
    AfterPrefill, Generated, GenerationOptions, HookError, Hooks, StopReason, generate, generate_batch,
};
pub use lm_head::{LmHeadError, LmHeadPrecision, LmHeadStats};
pub use model::{Model, Output, WeightBytes, WeightKind};
pub use moments::QueryMoments;
pub use output_norms::l1_norms;
pub use probe::{ProbeOutput, Probes};
pub use rope::Rope;
pub use sample::Sampling;
pub use steps::{Step, StepNorms};
