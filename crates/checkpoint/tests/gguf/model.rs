//! Small checkpoints in memory, whose tensors all have different codes.

use std::collections::BTreeMap;

use bitkv_checkpoint::{Architecture, Checkpoint, Config, codec::packed_u8};
use half::{bf16, f16};
use safetensors::{Dtype, tensor::TensorView};

/// The properties of a small model.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) architecture: Architecture,
    pub(crate) tied: bool,
    /// The smallest scale of the weights. Other linear layers have slightly larger scales.
    pub(crate) scale: f32,
    pub(crate) embedding: Dtype,
    /// The values of the embedding are multiples of this.
    pub(crate) step: f32,
}

impl Recipe {
    pub(crate) fn new(architecture: Architecture) -> Self {
        Recipe { architecture, tied: true, scale: 1.0, embedding: Dtype::BF16, step: 1.0 / 64.0 }
    }
}

/// Returns a number without a pattern.
pub(crate) fn noise(seed: u64) -> u64 {
    let mixed = (seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 32
}

/// Returns the configuration of a model with two layers, a width of 256, an MLP width of 512, four query
/// heads and two KV heads of width 64.
pub(crate) fn config_json(recipe: Recipe) -> String {
    let (name, model_type) = match recipe.architecture {
        Architecture::BitNet => ("BitNetForCausalLM", "bitnet"),
        Architecture::OneBitLlm => ("BitnetForCausalLM", "llama"),
        Architecture::Llama => ("LlamaForCausalLM", "llama"),
        Architecture::Qwen2 | Architecture::Qwen3 => unreachable!("no recipe is a Qwen"),
    };
    let (activation, quantization) = match recipe.architecture {
        Architecture::BitNet => (
            "relu2",
            r#"{"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"}"#,
        ),
        Architecture::OneBitLlm => ("silu", "null"),
        _ => ("silu", r#"{"quant_method": "bitnet"}"#),
    };
    let tied = recipe.tied;
    format!(
        r#"{{"architectures": ["{name}"], "model_type": "{model_type}", "hidden_act": "{activation}",
            "vocab_size": 96, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 128,
            "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": {tied}, "bos_token_id": 1,
            "eos_token_id": [2, 3], "quantization_config": {quantization}}}"#
    )
}

struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn floats(dtype: Dtype, shape: &[usize], value: impl Fn(usize) -> f32) -> Tensor {
    let values = (0..shape.iter().product()).map(value);
    let bytes = match dtype {
        Dtype::F32 => values.flat_map(f32::to_le_bytes).collect(),
        Dtype::F16 => values.flat_map(|x| f16::from_f32(x).to_le_bytes()).collect(),
        _ => values.flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect(),
    };
    Tensor { dtype, shape: shape.into(), bytes }
}

/// Returns the checkpoint of a recipe.
pub(crate) fn checkpoint(recipe: Recipe) -> Checkpoint {
    checkpoint_with_config(&config_json(recipe), recipe)
}

/// Returns the checkpoint of a recipe with another configuration.
pub(crate) fn checkpoint_with_config(json: &str, recipe: Recipe) -> Checkpoint {
    Checkpoint::from_bytes(json, weights(json, recipe)).unwrap()
}

/// Returns the safetensors file of a recipe.
pub(crate) fn weights(json: &str, recipe: Recipe) -> Vec<u8> {
    let config = Config::from_json(json, "config.json").unwrap();
    let mut tensors = BTreeMap::new();
    let dense = |seed: u64| {
        floats(recipe.embedding, &[config.vocab_size, config.hidden_size], move |i| {
            (noise(i as u64 + seed) % 255) as f32 * recipe.step - 127.0 * recipe.step
        })
    };
    tensors.insert("model.embed_tokens.weight".to_string(), dense(1 << 40));
    if !recipe.tied {
        tensors.insert("lm_head.weight".into(), dense(1 << 41));
    }
    for (seed, norm) in config.all_norms().enumerate() {
        let width = [norm.width];
        tensors.insert(
            norm.name,
            floats(Dtype::BF16, &width, |i| 0.5 + (noise((i + seed * 999) as u64) % 64) as f32 / 32.0),
        );
    }
    for (seed, shape) in config.all_linears().enumerate() {
        let code = |row: usize, col: usize| (noise((seed << 32 | row << 16 | col) as u64) % 3) as u8;
        let scale = recipe.scale + seed as f32 / 64.0;
        if recipe.architecture == Architecture::OneBitLlm {
            // Master weights that round to the codes.
            let master = |i: usize| scale * (f32::from(code(i / shape.cols, i % shape.cols)) - 1.0) * 1.3;
            tensors.insert(
                format!("{}.weight", shape.name),
                floats(Dtype::F32, &[shape.rows, shape.cols], master),
            );
            continue;
        }
        let bytes = packed_u8::encode(shape.rows, shape.cols, |row, out| {
            (0..shape.cols).for_each(|col| out[col] = code(row, col));
        });
        let packed =
            Tensor { dtype: Dtype::U8, shape: vec![packed_u8::packed_rows(shape.rows), shape.cols], bytes };
        tensors.insert(format!("{}.weight", shape.name), packed);
        tensors.insert(format!("{}.weight_scale", shape.name), floats(Dtype::BF16, &[1], |_| scale));
    }
    let views = tensors
        .iter()
        .map(|(name, t)| (name.clone(), TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}
