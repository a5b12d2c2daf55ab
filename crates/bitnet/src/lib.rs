//! BitNet b1.58 on candle: forward pass, a per-head KV cache that can keep a plan, probes, and generation.
//!
//! ```text
//! Checkpoint::open -> Model::load -> Model::forward(tokens, cache, observe) -> Output -> Model::logits
//! ```
//!
//! Load a model, run a prompt, keep a part of every head's cache, and generate through what is left:
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
//! let observe = Probes { entropy: true, ..Probes::default() };
//! let output = model.forward(&prompt, &mut cache, Some(&observe))?;
//! let logits = model.logits(&output.hidden)?;
//! assert_eq!(logits.dims(), [48, model.config().vocab_size]);
//! assert_eq!(output.observed.unwrap().entropy.len(), model.config().num_hidden_layers);
//!
//! // The first four tokens and the last twelve; a plan may keep others in every layer and KV head.
//! let before = cache.bytes();
//! cache.keep(&|_layer, _kv_head| (0..4).chain(36..48).collect())?;
//! assert_eq!(cache.bytes(), before / 3);
//!
//! let options = GenerationOptions {
//!     max_tokens: 8,
//!     stop: model.config().eos_token_ids.clone(),
//!     sampling: Sampling::Greedy,
//!     repetition_penalty: 1.0,
//! };
//! let made = generate(&model, &[150, 151], &mut cache, &options, None, &mut |_token| true)?;
//! assert!(made.tokens.len() <= 8);
//! # Ok::<(), bitkv_bitnet::Error>(())
//! ```
//!
//! [`mod@reference`] is the same model on one page of plain candle, and [`BitLinear`] a layer of it as a candle module.
//!
//! Activations are f32 throughout, ternary products exact integers, keys and values f16 unless a cache is
//! [quantised](KvCache::quantise). Every result of a token depends on that token and the cache only, so that one
//! prefill and token-by-token decoding give the same bits (but for KIVI, which quantises behind each pass).

#![forbid(unsafe_code)]

mod attention;
mod bit_linear;
mod cache;
pub mod custom_op;
mod dense;
mod error;
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
    Activation, Architecture, Checkpoint, Config, FloatType, LinearShape, NormShape, PackedTypes, ScaleRule,
    Ternarised, WeightFormat, write_packed,
};
pub use bitkv_kernels::attention::Floats;
#[cfg(feature = "masked-cache")]
pub use cache::MaskedCache;
pub use cache::{Cache, CacheShape, CacheView, KvCache, Precision, Quantisation};
pub use error::{Error, Result};
pub use generate::{AfterPrefill, Generated, GenerationOptions, Stop, generate, generate_batch};
pub use lm_head::{LmHeadError, LmHeadPrecision, LmHeadStats};
pub use model::{Model, Output, WeightBytes};
pub use moments::QueryMoments;
pub use output_norms::l1_norms;
pub use probe::{ProbeOutput, Probes};
pub use rope::Rope;
pub use sample::Sampling;
pub use steps::{Step, StepNorms};
