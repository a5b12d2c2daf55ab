//! The names and shapes of a checkpoint's tensors, in one place for reading and writing.

use crate::{Architecture, Biases, Config, Error, Result};

/// The name and the shape of a linear layer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinearShape {
    /// The Hugging Face name, without `.weight`.
    pub name: String,
    /// The number of output features.
    pub rows: usize,
    /// The number of input features.
    pub cols: usize,
    /// Whether the layer has a bias, `[rows]`.
    pub bias: bool,
}

/// The largest number of weights in a row. Longer rows could overflow the integer sums of the kernels.
const MAX_ROW: usize = 1 << 18;

impl LinearShape {
    /// Returns an error if the rows are longer than kernels can sum exactly.
    pub(crate) fn check_width(&self, file: &str) -> Result<()> {
        if self.cols <= MAX_ROW {
            return Ok(());
        }
        let (file, tensor) = (file.into(), format!("{}.weight", self.name));
        Err(Error::RowTooLong { file, tensor, width: self.cols, limit: MAX_ROW })
    }
}

/// The name and the width of a norm.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NormShape {
    /// The Hugging Face name, with `.weight`.
    pub name: String,
    /// The number of weights.
    pub width: usize,
}

/// The Hugging Face name of the embedding.
pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
/// The Hugging Face name of the norm after the last layer.
pub(crate) const FINAL_NORM: &str = "model.norm.weight";
/// The Hugging Face name of the LM head.
pub(crate) const LM_HEAD: &str = "lm_head.weight";

impl Config {
    /// Returns the seven linear layers of a transformer layer: q, k, v, o, gate, up, down.
    pub fn linears(&self, layer: usize) -> [LinearShape; 7] {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let (query, kv) = (self.query_width(), self.kv_width());
        let Biases { qkv, output, mlp } = self.biases;
        [
            ("self_attn.q_proj", query, hidden, qkv),
            ("self_attn.k_proj", kv, hidden, qkv),
            ("self_attn.v_proj", kv, hidden, qkv),
            ("self_attn.o_proj", hidden, query, output),
            ("mlp.gate_proj", inner, hidden, mlp),
            ("mlp.up_proj", inner, hidden, mlp),
            ("mlp.down_proj", hidden, inner, mlp),
        ]
        .map(|(name, rows, cols, bias)| LinearShape {
            name: format!("model.layers.{layer}.{name}"),
            rows,
            cols,
            bias,
        })
    }

    /// Returns the norms of a transformer layer.
    pub fn norms(&self, layer: usize) -> LayerNorms {
        let norm = |name: &str, width: usize| NormShape {
            name: format!("model.layers.{layer}.{name}.weight"),
            width,
        };
        let sub_norms = match self.architecture {
            _ if self.plain_llama => None,
            Architecture::BitNet => Some(("self_attn.attn_sub_norm", "mlp.ffn_sub_norm")),
            Architecture::OneBitLlm => Some(("self_attn.inner_attn_ln", "mlp.ffn_layernorm")),
            Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => None,
        };
        let head_norm =
            |name: &str| (self.architecture == Architecture::Qwen3).then(|| norm(name, self.head_dim));
        LayerNorms {
            input: norm("input_layernorm", self.hidden_size),
            query: head_norm("self_attn.q_norm"),
            key: head_norm("self_attn.k_norm"),
            attention_sub: sub_norms.map(|(name, _)| norm(name, self.query_width())),
            post_attention: norm("post_attention_layernorm", self.hidden_size),
            mlp_sub: sub_norms.map(|(_, name)| norm(name, self.intermediate_size)),
        }
    }

    /// Returns the norm after the last layer.
    pub fn final_norm(&self) -> NormShape {
        NormShape { name: FINAL_NORM.into(), width: self.hidden_size }
    }

    /// Returns every linear layer of the model, one transformer layer after another.
    pub fn all_linears(&self) -> impl Iterator<Item = LinearShape> + '_ {
        (0..self.num_hidden_layers).flat_map(|layer| self.linears(layer))
    }

    /// Returns every norm of the model: those of the layers in order, then the final one.
    pub fn all_norms(&self) -> impl Iterator<Item = NormShape> + '_ {
        let layers = (0..self.num_hidden_layers).flat_map(|layer| self.norms(layer).into_iter());
        layers.chain([self.final_norm()])
    }
}

/// The norms of a transformer layer, in the order in which they are applied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayerNorms {
    /// The norm before attention.
    pub input: NormShape,
    /// The norm of every query head before RoPE, if the architecture has one.
    pub query: Option<NormShape>,
    /// The norm of every key head before RoPE, if the architecture has one.
    pub key: Option<NormShape>,
    /// The norm before `o_proj`, if the architecture has one.
    pub attention_sub: Option<NormShape>,
    /// The norm before the MLP.
    pub post_attention: NormShape,
    /// The norm before `down_proj`, if the architecture has one.
    pub mlp_sub: Option<NormShape>,
}

impl IntoIterator for LayerNorms {
    type Item = NormShape;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<NormShape>, 6>>;

    fn into_iter(self) -> Self::IntoIter {
        let LayerNorms { input, query, key, attention_sub, post_attention, mlp_sub } = self;
        [Some(input), query, key, attention_sub, Some(post_attention), mlp_sub].into_iter().flatten()
    }
}
