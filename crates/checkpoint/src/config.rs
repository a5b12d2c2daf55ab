//! `config.json` of the BitNet b1.58 families.
//!
//! References: transformers `models/bitnet/configuration_bitnet.py` (2B-4T), `configuration_bitnet.py` of
//! 1bitLLM/bitnet_b1_58-large, and `models/llama/configuration_llama.py` (Falcon3-1.58bit, Falcon-E, HF1BitLLM).

/// Which family's names and defaults a checkpoint follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Architecture {
    /// `BitNetForCausalLM`: microsoft/bitnet-b1.58-2B-4T.
    BitNet,
    /// `BitnetForCausalLM`: 1bitLLM/bitnet_b1_58-large, -xl and -3B.
    OneBitLlm,
    /// `LlamaForCausalLM` with ternary linear layers and no sub-norms: Falcon3-1.58bit, Falcon-E, HF1BitLLM.
    Llama,
}

impl Architecture {
    /// The name in `architectures`.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::BitNet => "BitNetForCausalLM",
            Architecture::OneBitLlm => "BitnetForCausalLM",
            Architecture::Llama => "LlamaForCausalLM",
        }
    }

    pub(crate) fn model_type(self) -> &'static str {
        match self {
            Architecture::BitNet => "bitnet",
            Architecture::OneBitLlm | Architecture::Llama => "llama",
        }
    }
}

/// Activation of the gated MLP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Activation {
    /// `max(x, 0)^2`.
    Relu2,
    /// `x / (1 + e^-x)`.
    Silu,
}

impl Activation {
    /// The name in `hidden_act`.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Relu2 => "relu2",
            Activation::Silu => "silu",
        }
    }
}

/// What a stored `weight_scale` means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ScaleRule {
    /// `autobitlinear`: about mean|W|; results are multiplied by it.
    Multiply,
    /// `bitlinear`: about 1 / mean|W|; results are divided by it.
    Divide,
}

/// How linear weights are stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WeightFormat {
    /// Two-bit codes in U8 with a scale beside them.
    Packed(ScaleRule),
    /// Full-precision masters, made ternary when loaded.
    Masters,
}

/// Shape and numerics of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Names and defaults.
    pub architecture: Architecture,
    /// Token ids are below this.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// KV heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Activation of the MLP.
    pub hidden_act: Activation,
    /// Positions the model was trained for.
    pub max_position_embeddings: usize,
    /// Added to the mean square in every RMS norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the output head is the embedding.
    pub tie_word_embeddings: bool,
    /// First token of every text, if there is one.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text.
    pub eos_token_ids: Vec<u32>,
    /// How linear weights are stored.
    pub weights: WeightFormat,
    /// Whether the model is to run as the plain Llama it is not; see [`Config::as_plain_llama`].
    pub plain_llama: bool,
}

impl Config {
    /// Query heads that share a KV head.
    pub fn group_size(&self) -> usize {
        self.num_attention_heads / self.num_key_value_heads
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all KV heads together.
    pub fn kv_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    /// The mistake of the published verification, to measure what it does: float weights (masters unquantised, or
    /// packed ones times their scale), f32 activations, SiLU, and no sub-norms.
    pub fn as_plain_llama(self) -> Config {
        Config { hidden_act: Activation::Silu, plain_llama: true, ..self }
    }

    /// The `config.json` of this model, readable by [`Config::from_json`] and by transformers.
    pub fn to_json(&self) -> String {
        let quantization = match self.weights {
            WeightFormat::Packed(rule) => serde_json::json!({
                "quant_method": "bitnet",
                "linear_class": if rule == ScaleRule::Multiply { "autobitlinear" } else { "bitlinear" },
                "quantization_mode": "offline",
            }),
            WeightFormat::Masters => serde_json::json!({
                "quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online",
            }),
        };
        let value = serde_json::json!({
            "architectures": [self.architecture.name()],
            "model_type": self.architecture.model_type(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim,
            "hidden_act": self.hidden_act.name(),
            "max_position_embeddings": self.max_position_embeddings,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tie_word_embeddings,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": self.eos_token_ids,
            "quantization_config": quantization,
        });
        format!("{value:#}\n")
    }
}
