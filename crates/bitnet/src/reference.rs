//! The reference: the same model in plain candle, in as little code as possible. Tests compare the fast path
//! with it.
//!
//! [`Reference`] runs every architecture that the loader reads, as a BitNet, as a plain Llama or in full
//! precision, on any candle device. It runs a whole sequence at a time and has no KV cache. Gradients reach
//! every weight: it avoids `softmax_last_dim`, `rms_norm` and `rope` of candle-nn, which have no backward
//! pass, and its [quantisers](quantise_activations) pass gradients straight through. A [`Watch`] sees every
//! step of a pass.
//!
//! ```
//! use bitkv_bitnet::{Checkpoint, reference::Reference};
//! use candle_core::Device;
//!
//! let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-gqa");
//! let reference = Reference::load(&Checkpoint::open(folder)?, &Device::Cpu)?;
//! let logits = reference.logits(&[100, 101, 102])?;
//! assert_eq!(logits.dims(), [3, reference.config().vocab_size]);
//! # Ok::<(), bitkv_bitnet::Error>(())
//! ```
//!
//! The cargo features `cuda` and `metal` enable candle's features of the same names. This project compiles
//! and tests only the CPU.
//!
//! Sources: transformers `models/bitnet/modeling_bitnet.py` and `models/llama/modeling_llama.py`; 1bitLLM's
//! `modeling_bitnet.py`.

mod device;
mod load;
mod quantise;
mod watch;

use bitkv_checkpoint::{Activation, Config, LinearShape, NormShape, WeightFormat};
use candle_core::{D, DType, Device, Module, Result, Tensor};
use candle_nn::{Embedding, Init, VarBuilder, init, ops, rotary_emb::rope_slow};

use crate::{CachePrecision, Step};

pub use device::DeviceKind;
pub use load::tensors;
pub use quantise::{Linear, Rounding, quantise_activations, round_half_even, straight_through, ternarise};
pub use watch::{AttentionTensors, Watch, entropy_bits};

/// A decoder in plain candle. As a [`Module`] it takes token ids `[tokens]`, u32, and returns logits
/// `[tokens, vocab]`.
#[derive(Clone, Debug)]
pub struct Reference {
    config: Config,
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// The LM head, `[vocab, hidden]`. It is the embedding if the two are tied.
    lm_head: Tensor,
    /// The type that keys and values are rounded to.
    kv_dtype: DType,
}

#[derive(Clone, Debug)]
struct Layer {
    config: Config,
    index: usize,
    input_norm: RmsNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    query_norm: Option<RmsNorm>,
    key_norm: Option<RmsNorm>,
    attention_sub_norm: Option<RmsNorm>,
    o_proj: Linear,
    post_attention_norm: RmsNorm,
    gate_proj: Linear,
    up_proj: Linear,
    mlp_sub_norm: Option<RmsNorm>,
    down_proj: Linear,
}

#[derive(Clone, Debug)]
struct RmsNorm {
    gain: Tensor,
    eps: f64,
}

impl Module for RmsNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::rms_norm_slow(x, &self.gain, self.eps as f32)
    }
}

impl Rounding {
    /// Returns what the ternary linear layers of a model with this configuration round.
    pub fn new(config: &Config) -> Rounding {
        match config.weights {
            _ if config.plain_llama => Rounding::Nothing,
            WeightFormat::Masters => Rounding::Both,
            WeightFormat::Packed(_) | WeightFormat::TernaryFloats => Rounding::Activations,
            WeightFormat::Floats => Rounding::Nothing,
        }
    }
}

impl Reference {
    /// Builds a model from the tensors in `vb`, under the names of a Hugging Face checkpoint.
    ///
    /// Linear weights are floats: full-precision masters, or codes times their scale if the configuration
    /// says that weights are packed. If `vb` reads a `VarMap`, tensors that the map lacks are created with
    /// random values.
    ///
    /// # Errors
    /// Fails if a tensor is missing or has another shape.
    pub fn new(config: &Config, vb: &VarBuilder<'_>) -> Result<Reference> {
        Reference::with_rounding(config, vb, Rounding::new(config))
    }

    /// Builds a model as [`Reference::new`] does, but `rounding` decides what its linear layers round, not
    /// the configuration.
    ///
    /// # Errors
    /// Fails as [`Reference::new`] does.
    pub fn with_rounding(config: &Config, vb: &VarBuilder<'_>, rounding: Rounding) -> Result<Reference> {
        let (vocab, hidden) = (config.vocab_size, config.hidden_size);
        let random = Init::Randn { mean: 0.0, stdev: 1.0 };
        let embedding = vb.get_with_hints((vocab, hidden), "model.embed_tokens.weight", random)?;
        let lm_head = match config.tie_word_embeddings {
            true => embedding.clone(),
            false => vb.get_with_hints((vocab, hidden), "lm_head.weight", init::DEFAULT_KAIMING_NORMAL)?,
        };
        let layer = |index| Layer::new(index, config, vb, rounding);
        Ok(Reference {
            embedding: Embedding::new(embedding, hidden),
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            norm: load_norm(&config.final_norm(), config, vb)?,
            lm_head,
            kv_dtype: vb.dtype(),
            config: config.clone(),
        })
    }

    /// Returns the model with keys and values rounded as a cache of this precision rounds them. By default
    /// they are not rounded.
    #[must_use]
    pub fn with_kv_precision(mut self, precision: CachePrecision) -> Reference {
        self.kv_dtype = match precision {
            CachePrecision::F16 => DType::F16,
            CachePrecision::F32 => self.lm_head.dtype(),
        };
        self
    }

    /// The model's configuration: its shape and numerics.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The largest magnitude of a key or a value that its cache could store.
    pub(crate) fn largest_kv_number(&self) -> f32 {
        if self.kv_dtype == DType::F16 { half::f16::MAX.to_f32() } else { f32::MAX }
    }

    /// The device on which the model computes.
    pub fn device(&self) -> &Device {
        self.lm_head.device()
    }

    /// Returns the logits `[tokens, vocab]` of `ids [tokens]`, u32. `watch` sees every step.
    ///
    /// # Errors
    /// Fails if an id is outside the vocabulary, or if `watch` fails.
    pub fn run(&self, ids: &Tensor, watch: &mut dyn Watch) -> Result<Tensor> {
        let mut h = self.embedding.forward(ids)?;
        watch.step(None, Step::Embedding, &h)?;
        let rope = rope_tables(&self.config, ids.dim(0)?, h.dtype(), self.device())?;
        for layer in &self.layers {
            h = layer.attention(&h, &rope, self.kv_dtype, watch)?;
            h = layer.mlp(&h, watch)?;
        }
        let h = self.norm.forward(&h)?;
        watch.step(None, Step::FinalNorm, &h)?;
        let logits = h.matmul(&self.lm_head.t()?)?;
        watch.step(None, Step::Logits, &logits)?;
        Ok(logits)
    }
}

impl Module for Reference {
    fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        self.run(ids, &mut ())
    }
}

impl Layer {
    fn new(index: usize, config: &Config, vb: &VarBuilder<'_>, rounding: Rounding) -> Result<Layer> {
        let norms = config.norms(index);
        let norm = |shape: &NormShape| load_norm(shape, config, vb);
        let linear = |LinearShape { name, rows, cols, bias }: LinearShape| -> Result<Linear> {
            let rounding = if config.is_full_precision(&name) { Rounding::Nothing } else { rounding };
            let bias =
                bias.then(|| vb.get_with_hints(rows, &format!("{name}.bias"), init::ZERO)).transpose()?;
            let name = format!("{name}.weight");
            let weight = vb.get_with_hints((rows, cols), &name, init::DEFAULT_KAIMING_NORMAL)?;
            Ok(Linear { weight, bias, rounding })
        };
        let [q, k, v, o, gate, up, down] = config.linears(index);
        Ok(Layer {
            config: config.clone(),
            index,
            input_norm: norm(&norms.input)?,
            q_proj: linear(q)?,
            k_proj: linear(k)?,
            v_proj: linear(v)?,
            query_norm: norms.query.as_ref().map(norm).transpose()?,
            key_norm: norms.key.as_ref().map(norm).transpose()?,
            attention_sub_norm: norms.attention_sub.as_ref().map(norm).transpose()?,
            o_proj: linear(o)?,
            post_attention_norm: norm(&norms.post_attention)?,
            gate_proj: linear(gate)?,
            up_proj: linear(up)?,
            mlp_sub_norm: norms.mlp_sub.as_ref().map(norm).transpose()?,
            down_proj: linear(down)?,
        })
    }

    /// Returns the residual stream `h [tokens, hidden]` after attention.
    fn attention(
        &self,
        h: &Tensor,
        rope: &(Tensor, Tensor),
        kv_dtype: DType,
        watch: &mut dyn Watch,
    ) -> Result<Tensor> {
        let Config { num_attention_heads, num_key_value_heads, head_dim, .. } = self.config;
        let mut watch_step = |step, x: Tensor| watch.step(Some(self.index), step, &x).map(|()| x);
        let x = watch_step(Step::InputNorm, self.input_norm.forward(h)?)?;
        let q = split_heads(&watch_step(Step::Q, self.q_proj.forward(&x)?)?, num_attention_heads)?;
        let k = split_heads(&watch_step(Step::K, self.k_proj.forward(&x)?)?, num_key_value_heads)?;
        let values = split_heads(&watch_step(Step::V, self.v_proj.forward(&x)?)?, num_key_value_heads)?;
        let normed =
            |x: Tensor, norm: &Option<RmsNorm>| norm.as_ref().map_or(Ok(x.clone()), |n| n.forward(&x));
        let (q, k) = (normed(q, &self.query_norm)?, normed(k, &self.key_norm)?);
        let (queries, keys) = (rotate(&q, rope)?, rotate(&k, rope)?);
        let group = self.config.group_size();
        let k = repeat_kv_heads(&round_to_kv(&keys, kv_dtype)?, group)?;
        let v = repeat_kv_heads(&round_to_kv(&values, kv_dtype)?, group)?;
        let scores = (queries.matmul(&k.t()?)? / (head_dim as f64).sqrt())?;
        let probabilities = ops::softmax(&scores.broadcast_add(&causal_mask(&scores)?)?, D::Minus1)?;
        let attended = probabilities.matmul(&v)?.transpose(0, 1)?.flatten_from(1)?;
        watch.attention(self.index, &AttentionTensors { queries, keys, values, probabilities })?;
        let mut watch_step = |step, x: Tensor| watch.step(Some(self.index), step, &x).map(|()| x);
        let mut x = watch_step(Step::Attention, attended)?;
        if let Some(norm) = &self.attention_sub_norm {
            x = watch_step(Step::AttentionSubNorm, norm.forward(&x)?)?;
        }
        let o = watch_step(Step::O, self.o_proj.forward(&x)?)?;
        watch_step(Step::AttentionResidual, (h + o)?)
    }

    /// Returns the residual stream `h [tokens, hidden]` after the MLP.
    fn mlp(&self, h: &Tensor, watch: &mut dyn Watch) -> Result<Tensor> {
        let mut watch_step = |step, x: Tensor| watch.step(Some(self.index), step, &x).map(|()| x);
        let x = watch_step(Step::PostAttentionNorm, self.post_attention_norm.forward(h)?)?;
        let gate = watch_step(Step::Gate, self.gate_proj.forward(&x)?)?;
        let up = watch_step(Step::Up, self.up_proj.forward(&x)?)?;
        let gate = match self.config.hidden_act {
            Activation::Relu2 => gate.relu()?.sqr()?,
            Activation::Silu => gate.silu()?,
        };
        let mut x = watch_step(Step::Activation, (gate * up)?)?;
        if let Some(norm) = &self.mlp_sub_norm {
            x = watch_step(Step::MlpSubNorm, norm.forward(&x)?)?;
        }
        let down = watch_step(Step::Down, self.down_proj.forward(&x)?)?;
        watch_step(Step::Output, (h + down)?)
    }
}

/// Loads the norm with the name and width of `shape`.
fn load_norm(shape: &NormShape, config: &Config, vb: &VarBuilder<'_>) -> Result<RmsNorm> {
    let gain = vb.get_with_hints(shape.width, &shape.name, Init::Const(1.0))?;
    Ok(RmsNorm { gain, eps: config.rms_norm_eps })
}

/// Reshapes `[tokens, heads * head_dim]` to `[heads, tokens, head_dim]`.
fn split_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    x.reshape((x.dim(0)?, heads, ()))?.transpose(0, 1)?.contiguous()
}

/// Repeats KV heads `[kv_heads, tokens, head_dim]` once for each query head that reads them.
fn repeat_kv_heads(x: &Tensor, group: usize) -> Result<Tensor> {
    let (heads, tokens, width) = x.dims3()?;
    let copies = x.unsqueeze(1)?.expand((heads, group, tokens, width))?;
    copies.contiguous()?.reshape((heads * group, tokens, width))
}

/// Rounds keys or values as a cache of this type does.
fn round_to_kv(x: &Tensor, kv_dtype: DType) -> Result<Tensor> {
    x.to_dtype(kv_dtype)?.to_dtype(x.dtype())
}

/// Rotates `x [heads, tokens, head_dim]` to its positions.
fn rotate(x: &Tensor, (cos, sin): &(Tensor, Tensor)) -> Result<Tensor> {
    rope_slow(&x.unsqueeze(0)?, cos, sin)?.squeeze(0)
}

/// Returns the cosines and sines of the rotary angles, position times frequency, each `[tokens, head_dim /
/// 2]`.
fn rope_tables(config: &Config, tokens: usize, dtype: DType, device: &Device) -> Result<(Tensor, Tensor)> {
    let frequencies = config.rope_frequencies();
    let positions = Tensor::arange(0u32, tokens as u32, device)?.to_dtype(DType::F32)?.unsqueeze(1)?;
    let angles = positions.broadcast_mul(&Tensor::new(frequencies, device)?.unsqueeze(0)?)?;
    Ok((angles.cos()?.to_dtype(dtype)?, angles.sin()?.to_dtype(dtype)?))
}

/// Returns a mask `[tokens, tokens]`: minus infinity for keys later than the query, 0 for others.
fn causal_mask(scores: &Tensor) -> Result<Tensor> {
    let tokens = scores.dim(D::Minus1)?;
    let row = |query| (0..tokens).map(move |key| if key > query { f32::NEG_INFINITY } else { 0.0 });
    let mask: Vec<f32> = (0..tokens).flat_map(row).collect();
    Tensor::from_vec(mask, (tokens, tokens), scores.device())?.to_dtype(scores.dtype())
}
