//! Builds small random models of both architectures; the seed determines the weights.

#![allow(dead_code, reason = "each test binary uses only some of it")]

pub(crate) mod golden;

use std::{borrow::Cow, collections::BTreeMap};

use bitkv_bitnet::{
    Activation, Architecture, Biases, Checkpoint, Config, FloatType, Model, PackedTypes, RopeScaling,
    WeightFormat, write_packed,
};
use safetensors::{Dtype, tensor::TensorView};

/// Random numbers from a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    /// Returns a number in [-1, 1).
    pub(crate) fn uniform(&mut self) -> f32 {
        self.bits() as f32 / (1u64 << 30) as f32 - 1.0
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.bits() as usize % n
    }

    pub(crate) fn tokens(&mut self, n: usize, vocab: usize) -> Vec<u32> {
        (0..n).map(|_| self.below(vocab) as u32).collect()
    }
}

/// Returns a configuration whose sizes have as few common divisors as possible.
pub(crate) fn config(architecture: Architecture) -> Config {
    let gqa = architecture == Architecture::BitNet;
    Config {
        architecture,
        vocab_size: 61,
        hidden_size: 36,
        intermediate_size: 50,
        num_hidden_layers: 3,
        num_attention_heads: 6,
        num_key_value_heads: if gqa { 2 } else { 6 },
        head_dim: 6,
        hidden_act: if gqa { Activation::Relu2 } else { Activation::Silu },
        max_position_embeddings: 300,
        rms_norm_eps: 1e-5,
        rope_theta: if gqa { 500_000.0 } else { 10_000.0 },
        rope_scaling: RopeScaling::Unscaled,
        biases: Biases::default(),
        tie_word_embeddings: true,
        bos_token_id: Some(1),
        eos_token_ids: vec![2],
        weights: WeightFormat::Masters,
        full_precision_layers: Vec::new(),
        plain_llama: false,
    }
}

/// The shapes and values of full-precision weights, by name.
pub(crate) type Masters = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

pub(crate) fn masters(config: &Config, seed: u64) -> Masters {
    let mut random = Random(seed);
    let mut tensors = Masters::new();
    let mut add_tensor = |name: &str, shape: &[usize], center: f32, spread: f32| {
        let values = (0..shape.iter().product()).map(|_| center + spread * random.uniform()).collect();
        tensors.insert(name.into(), (shape.to_vec(), values));
    };
    let dense = [config.vocab_size, config.hidden_size];
    add_tensor("model.embed_tokens.weight", &dense, 0.0, 1.0);
    add_tensor("model.norm.weight", &[config.hidden_size], 1.0, 0.5);
    if !config.tie_word_embeddings {
        add_tensor("lm_head.weight", &dense, 0.0, 1.0);
    }
    for layer in 0..config.num_hidden_layers {
        config.norms(layer).into_iter().for_each(|n| add_tensor(&n.name, &[n.width], 1.0, 0.7));
        config
            .linears(layer)
            .iter()
            .for_each(|l| add_tensor(&format!("{}.weight", l.name), &[l.rows, l.cols], 0.01, 0.4));
    }
    tensors
}

pub(crate) fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Returns a safetensors file of these tensors.
pub(crate) fn safetensors_of(tensors: &BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>) -> Vec<u8> {
    let views = tensors.iter().map(|(n, (t, s, b))| (n.clone(), TensorView::new(*t, s.clone(), b).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

pub(crate) fn as_f32(masters: &Masters) -> BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> {
    masters.iter().map(|(n, (s, v))| (n.clone(), (Dtype::F32, s.clone(), bytes_of(v)))).collect()
}

pub(crate) fn load_masters(config: &Config, masters: &Masters) -> Model {
    let bytes = safetensors_of(&as_f32(masters));
    Model::load(&Checkpoint::from_bytes(&config.to_json(), bytes).unwrap()).unwrap()
}

/// Returns a random model of an architecture.
pub(crate) fn model(architecture: Architecture, seed: u64) -> Model {
    let config = config(architecture);
    load_masters(&config, &masters(&config, seed))
}

pub(crate) const EXACT: PackedTypes = PackedTypes { embedding: FloatType::F32, norms: FloatType::F32 };

pub(crate) fn pack_into(folder: &std::path::Path, config: &Config, masters: &Masters, types: PackedTypes) {
    write_packed(folder, config, types, |name| masters.get(name).map(|(_, v)| Cow::Borrowed(&v[..])))
        .unwrap();
}

pub(crate) const BOTH: [Architecture; 2] = [Architecture::BitNet, Architecture::OneBitLlm];
