//! BitNet b1.58 on candle: forward pass, a per-head KV cache that can keep a plan, probes, and generation.
//!
//! ```text
//! Checkpoint::open -> Model::load -> Model::forward(tokens, cache, observe) -> Output -> Model::logits
//! ```
//!
//! Activations are f32 throughout, ternary products exact integers, keys and values f16 unless a cache is
//! [quantised](KvCache::quantise). Every result of a token depends on that token and the cache only, so that one
//! prefill and token-by-token decoding give the same bits (but for KIVI, which quantises behind each pass).

mod attention;
mod cache;
mod dense;
mod error;
mod forward;
mod generate;
mod head;
mod linear;
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
pub use bitkv_checkpoint::{
    Activation, Architecture, Checkpoint, Config, FloatType, LinearShape, NormShape, PackedTypes, ScaleRule,
    Ternarised, WeightFormat, write_packed,
};
pub use bitkv_kernels::attention::Floats;
pub use cache::{Cache, CacheShape, CacheView, KvCache, MaskedCache, Precision, Quantisation};
pub use error::{Error, Result};
pub use generate::{AfterPrefill, Generated, GenerationOptions, Stop, generate, generate_batch};
pub use head::{HeadError, HeadPrecision, HeadUse};
pub use model::{Model, Output, WeightBytes};
pub use moments::QueryMoments;
pub use output_norms::l1_norms;
pub use probe::{Observe, Observed};
pub use rope::Rope;
pub use sample::Sampling;
pub use steps::{Step, StepNorms};
