//! Names and shapes of a checkpoint's tensors, in one place for reading and writing.

use crate::{Architecture, Config};

/// A ternary linear layer's weight.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinearShape {
    /// Without the `.weight` at its end.
    pub name: String,
    /// Output features.
    pub rows: usize,
    /// Input features.
    pub cols: usize,
}

/// A norm's weight.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NormShape {
    /// With the `.weight` at its end.
    pub name: String,
    /// Number of weights.
    pub width: usize,
}

pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
pub(crate) const FINAL_NORM: &str = "model.norm.weight";
pub(crate) const HEAD: &str = "lm_head.weight";

impl Config {
    /// The seven linear layers of a layer: q, k, v, o, gate, up, down.
    pub fn linears(&self, layer: usize) -> [LinearShape; 7] {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let (query, kv) = (self.query_width(), self.kv_width());
        [
            ("self_attn.q_proj", query, hidden),
            ("self_attn.k_proj", kv, hidden),
            ("self_attn.v_proj", kv, hidden),
            ("self_attn.o_proj", hidden, query),
            ("mlp.gate_proj", inner, hidden),
            ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ]
        .map(|(name, rows, cols)| LinearShape {
            name: format!("model.layers.{layer}.{name}"),
            rows,
            cols,
        })
    }

    /// The four norms of a layer: before attention, before `o_proj`, before the MLP, before `down_proj`.
    pub fn norms(&self, layer: usize) -> [NormShape; 4] {
        let (attention, mlp) = match self.architecture {
            Architecture::BitNet => ("self_attn.attn_sub_norm", "mlp.ffn_sub_norm"),
            Architecture::OneBitLlm => ("self_attn.inner_attn_ln", "mlp.ffn_layernorm"),
        };
        [
            ("input_layernorm", self.hidden_size),
            (attention, self.query_width()),
            ("post_attention_layernorm", self.hidden_size),
            (mlp, self.intermediate_size),
        ]
        .map(|(name, width)| NormShape { name: format!("model.layers.{layer}.{name}.weight"), width })
    }
}
