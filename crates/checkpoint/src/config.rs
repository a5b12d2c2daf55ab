//! The configuration of a model, as `config.json` of the BitNet b1.58 families, of Llama and of Qwen
//! describes it.
//!
//! References: transformers `models/bitnet/configuration_bitnet.py` (2B-4T), `configuration_bitnet.py` of
//! 1bitLLM/bitnet_b1_58-large, and transformers `configuration_llama.py` (Falcon3-1.58bit, Falcon-E,
//! HF1BitLLM, and full-precision Llamas), `configuration_qwen2.py` and `configuration_qwen3.py`.

use crate::RopeScaling;

/// The family whose tensor names and defaults a checkpoint follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Architecture {
    /// `BitNetForCausalLM`: microsoft/bitnet-b1.58-2B-4T.
    BitNet,
    /// `BitnetForCausalLM`: 1bitLLM/bitnet_b1_58-large, -xl and -3B.
    OneBitLlm,
    /// `LlamaForCausalLM`, which has no sub-norms: ternary (Falcon3-1.58bit, Falcon-E, HF1BitLLM) or in full
    /// precision.
    Llama,
    /// `Qwen2ForCausalLM`: a Llama with biases of queries, keys and values.
    Qwen2,
    /// `Qwen3ForCausalLM`: a Llama that norms every query and key head before RoPE.
    Qwen3,
}

impl Architecture {
    /// All architectures.
    pub(crate) const ALL: [Architecture; 5] = [
        Architecture::BitNet,
        Architecture::OneBitLlm,
        Architecture::Llama,
        Architecture::Qwen2,
        Architecture::Qwen3,
    ];

    /// Returns the name in `architectures`.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::BitNet => "BitNetForCausalLM",
            Architecture::OneBitLlm => "BitnetForCausalLM",
            Architecture::Llama => "LlamaForCausalLM",
            Architecture::Qwen2 => "Qwen2ForCausalLM",
            Architecture::Qwen3 => "Qwen3ForCausalLM",
        }
    }

    /// Returns the activation of a model whose files do not name one.
    pub fn usual_activation(self) -> Activation {
        match self {
            Architecture::BitNet => Activation::Relu2,
            Architecture::OneBitLlm | Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => {
                Activation::Silu
            }
        }
    }

    /// Returns whether models of this family are BitNets, whose float weights are masters. Models of the
    /// other families may be ternary or in full precision.
    pub fn is_bitnet(self) -> bool {
        matches!(self, Architecture::BitNet | Architecture::OneBitLlm)
    }

    /// Returns whether the class uses a sliding window only if `use_sliding_window` says so.
    pub(crate) fn has_optional_window(self) -> bool {
        matches!(self, Architecture::Qwen2 | Architecture::Qwen3)
    }

    /// Returns the value of `model_type`.
    pub(crate) fn model_type(self) -> &'static str {
        match self {
            Architecture::BitNet => "bitnet",
            Architecture::OneBitLlm | Architecture::Llama => "llama",
            Architecture::Qwen2 => "qwen2",
            Architecture::Qwen3 => "qwen3",
        }
    }
}

/// The activation of the gated MLP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Activation {
    /// `max(x, 0)^2`.
    Relu2,
    /// `x / (1 + e^-x)`.
    Silu,
}

impl Activation {
    /// Returns the name in `hidden_act`.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Relu2 => "relu2",
            Activation::Silu => "silu",
        }
    }

    /// Returns the activation with a name that config.json or GGUF files use; `None` if it is not supported.
    pub(crate) fn from_name(name: &str) -> Option<Activation> {
        match name {
            "relu2" | "relu_squared" | "squared_relu" | "relu_sqr" => Some(Activation::Relu2),
            // A gate with SiLU is called SwiGLU.
            "silu" | "swish" | "swiglu" => Some(Activation::Silu),
            _ => None,
        }
    }
}

/// How a stored `weight_scale` is applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ScaleRule {
    /// `autobitlinear`: the scale is about mean|W|, and results are multiplied by it.
    Multiply,
    /// `bitlinear`: the scale is about 1 / mean|W|, and results are divided by it.
    Divide,
}

/// How the weights of linear layers are stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WeightFormat {
    /// Two-bit codes in U8, with a separate scale tensor.
    Packed(ScaleRule),
    /// Full-precision master weights, which are ternarised when they are loaded.
    Masters,
    /// Floats that are ternary already: the values of a matrix are 0 or of one magnitude, which is kept.
    TernaryFloats,
    /// Full-precision weights that are used as they are, without quantised activations: a control. A layer
    /// whose floats are ternary already still runs as a ternary one.
    Floats,
}

/// Which linear layers of a model have a bias.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Biases {
    /// `q_proj`, `k_proj` and `v_proj`.
    pub qkv: bool,
    /// `o_proj`.
    pub output: bool,
    /// `gate_proj`, `up_proj` and `down_proj`.
    pub mlp: bool,
}

impl Biases {
    /// Returns whether a layer has a bias.
    pub fn any(self) -> bool {
        self.qkv || self.output || self.mlp
    }
}

/// The shape and the numerics of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The family, which decides tensor names and defaults.
    pub architecture: Architecture,
    /// The size of the vocabulary; token ids are below this.
    pub vocab_size: usize,
    /// The width of the residual stream.
    pub hidden_size: usize,
    /// The width of the MLP.
    pub intermediate_size: usize,
    /// The number of layers.
    pub num_hidden_layers: usize,
    /// The number of query heads.
    pub num_attention_heads: usize,
    /// The number of KV heads, which divides the number of query heads.
    pub num_key_value_heads: usize,
    /// The width of a head, which is even.
    pub head_dim: usize,
    /// The activation of the MLP.
    pub hidden_act: Activation,
    /// The number of positions that the model was trained for.
    pub max_position_embeddings: usize,
    /// The number that every RMS norm adds to the mean square.
    pub rms_norm_eps: f64,
    /// The base of the rotary frequencies.
    pub rope_theta: f64,
    /// How the rotary frequencies are scaled.
    pub rope_scaling: RopeScaling,
    /// Which linear layers have a bias.
    pub biases: Biases,
    /// Whether the LM head is tied to the embedding.
    pub tie_word_embeddings: bool,
    /// The first token of every text, if there is one.
    pub bos_token_id: Option<u32>,
    /// The tokens that end a text.
    pub eos_token_ids: Vec<u32>,
    /// How the weights of linear layers are stored.
    pub weights: WeightFormat,
    /// The modules that contain linear layers in full precision although the others are ternary, or ends of
    /// the names of such layers (`modules_to_not_convert`).
    pub full_precision_layers: Vec<String>,
    /// Whether to run the model as a plain Llama; see [`Config::as_plain_llama`].
    pub plain_llama: bool,
}

impl Config {
    /// Returns the number of query heads per KV head.
    pub fn group_size(&self) -> usize {
        self.num_attention_heads / self.num_key_value_heads
    }

    /// Returns the width of all query heads together.
    pub fn query_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Returns the width of all KV heads together.
    pub fn kv_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    /// Returns the rotary frequencies of a head, `[head_dim / 2]`, in radians per position.
    pub fn rope_frequencies(&self) -> Vec<f32> {
        self.rope_scaling.frequencies(self.rope_theta, self.head_dim)
    }

    /// Returns the factors by which the scaling of RoPE divides the frequencies of its base, `[head_dim /
    /// 2]`; empty if RoPE is not scaled.
    pub fn rope_factors(&self) -> Vec<f32> {
        if self.rope_scaling == RopeScaling::Unscaled {
            return Vec::new();
        }
        let base = RopeScaling::Unscaled.frequencies(self.rope_theta, self.head_dim);
        base.iter().zip(self.rope_frequencies()).map(|(base, scaled)| base / scaled).collect()
    }

    /// Returns whether a linear layer is listed as one in full precision.
    pub fn is_full_precision(&self, layer: &str) -> bool {
        // transformers compares whole modules at the start of a name, and any text at its end.
        let begins = |part: &str| layer.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'));
        let matches = |part: &String| begins(part) || layer.ends_with(part.as_str());
        self.full_precision_layers.iter().any(matches)
    }

    /// Returns the configuration for running the model as a plain Llama, as the published verification
    /// mistakenly did: with float weights (master weights without quantisation, or packed weights times their
    /// scale), f32 activations, SiLU, and no sub-norms. This measures the effect of that mistake.
    pub fn as_plain_llama(self) -> Config {
        Config { hidden_act: Activation::Silu, plain_llama: true, ..self }
    }

    /// Returns the `config.json` of this model, which [`Config::from_json`] and transformers can read.
    pub fn to_json(&self) -> String {
        let quantization = match self.weights {
            WeightFormat::Packed(rule) => serde_json::json!({
                "quant_method": "bitnet",
                "linear_class": if rule == ScaleRule::Multiply { "autobitlinear" } else { "bitlinear" },
                "quantization_mode": "offline",
            }),
            WeightFormat::Masters | WeightFormat::TernaryFloats => serde_json::json!({
                "quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online",
            }),
            WeightFormat::Floats => serde_json::Value::Null,
        };
        let mut value = serde_json::json!({
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
        if let Some(scaling) = self.rope_scaling.to_json() {
            value["rope_scaling"] = scaling;
        }
        if self.biases.any() {
            value["attention_bias"] = self.biases.qkv.into();
            value["mlp_bias"] = self.biases.mlp.into();
        }
        format!("{value:#}\n")
    }
}
