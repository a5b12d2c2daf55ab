//! Reads a model's configuration from the metadata and the tensor names of a GGUF file.
//!
//! Reference: llama.cpp `llm_load_hparams`, and the forks of it that bitnet.cpp builds on.

use crate::{
    Activation, Architecture, Biases, Coding, Config, Result, ScaleRule, WeightFormat,
    config_read::{EPSILONS, MAX_LAYERS, MAX_POSITIONS, MAX_VOCABULARY, MAX_WIDTH},
    remarks::Remarks,
    shapes::{EMBEDDING, LM_HEAD},
};

use super::{
    file::Gguf,
    header::TensorInfo,
    keys::Keys,
    known_keys,
    linear::ternary_value,
    rope,
    types::{TL1, TL2},
    vocabulary::{BOS, EOM, EOS, EOT, TOKENS},
};

/// The key of the activation, without the name of the architecture.
pub(super) const HIDDEN_ACTIVATION: &str = "hidden_activation";

/// The tokens that end a turn of a chat. They are looked up in the vocabulary if a file lacks [`EOT`].
pub(super) const END_OF_TURN: [&[u8]; 2] = [b"<|eot_id|>", b"<|im_end|>"];

/// Reads the configuration.
///
/// # Errors
/// Returns an error if a required key is missing, a value is not valid, or the model is not supported.
pub(super) fn read(gguf: &Gguf) -> Result<(Config, Remarks)> {
    let keys = gguf.keys();
    let mut remarks = Remarks::default();
    let architecture = architecture(&keys)?;
    refuse_unsupported(gguf)?;
    known_keys::check(gguf, &mut remarks)?;
    let prefix = gguf.architecture();
    let size = |key: &str, limit| keys.size(&format!("{prefix}.{key}"), limit);
    let needed = |key: &str, limit| keys.needed_size(&format!("{prefix}.{key}"), limit);
    let hidden_size = needed("embedding_length", MAX_WIDTH)?;
    let heads = needed("attention.head_count", MAX_WIDTH)?;
    let head_dim = head_dim(&keys, prefix, hidden_size, heads)?;
    let rope = rope::read(gguf, head_dim, &mut remarks)?;
    let config = Config {
        architecture,
        vocab_size: vocabulary_size(gguf, size("vocab_size", MAX_VOCABULARY)?)?,
        hidden_size,
        intermediate_size: needed("feed_forward_length", MAX_WIDTH)?,
        num_hidden_layers: needed("block_count", MAX_LAYERS)?,
        num_attention_heads: heads,
        num_key_value_heads: size("attention.head_count_kv", MAX_WIDTH)?.unwrap_or(heads),
        head_dim,
        hidden_act: activation(&keys, prefix)?.unwrap_or(architecture.usual_activation()),
        max_position_embeddings: needed("context_length", MAX_POSITIONS)?,
        rms_norm_eps: epsilon(&keys, prefix, &mut remarks)?,
        rope_theta: rope.theta,
        rope_scaling: rope.scaling,
        biases: biases(gguf),
        tie_word_embeddings: !gguf.has(LM_HEAD),
        bos_token_id: keys.token(BOS)?,
        eos_token_ids: stop_tokens(&keys)?,
        weights: weight_format(gguf, architecture),
        full_precision_layers: Vec::new(),
        plain_llama: false,
    };
    check(&keys, prefix, &config)?;
    Ok((config, remarks))
}

/// Returns the family of an architecture name.
pub(super) fn architecture(keys: &Keys<'_>) -> Result<Architecture> {
    let key = "general.architecture";
    match keys.text(key)?.ok_or_else(|| keys.missing(key))? {
        "bitnet" => Ok(Architecture::OneBitLlm),
        "bitnet-25" | "bitnet-b1.58" => Ok(Architecture::BitNet),
        "llama" => Ok(Architecture::Llama),
        "qwen2" => Ok(Architecture::Qwen2),
        "qwen3" => Ok(Architecture::Qwen3),
        other => {
            let reason = "but only bitnet, bitnet-25, bitnet-b1.58, llama, qwen2 and qwen3 are supported: use another \
                          model";
            Err(keys.bad(key, format!("`{other}`"), reason))
        }
    }
}

/// Returns the activation that the file names; `None` if it names none. Files of llama.cpp have the key since
/// August 2026.
fn activation(keys: &Keys<'_>, prefix: &str) -> Result<Option<Activation>> {
    let key = format!("{prefix}.{HIDDEN_ACTIVATION}");
    let Some(name) = keys.text(&key)? else { return Ok(None) };
    let unsupported = || {
        let reason = "but only relu2 and silu are supported: use another model";
        keys.bad(&key, format!("\"{name}\""), reason)
    };
    Activation::from_name(name).map(Some).ok_or_else(unsupported)
}

/// Returns the number that every norm adds to the mean square.
fn epsilon(keys: &Keys<'_>, prefix: &str, remarks: &mut Remarks) -> Result<f64> {
    let [rms, other] = ["rms_epsilon", "epsilon"].map(|end| format!("{prefix}.attention.layer_norm_{end}"));
    match (keys.within(&rms, EPSILONS)?, keys.within(&other, EPSILONS)?) {
        (Some(used), Some(value)) if used != value => {
            let file = keys.file;
            remarks.note(format!("{file}: `{rms}` is {used}, but `{other}` is {value}: `{rms}` is used"));
            Ok(used)
        }
        (Some(used), _) | (None, Some(used)) => Ok(used),
        (None, None) => Err(keys.missing(&rms)),
    }
}

/// Checks that there are no tensors that this crate cannot read.
fn refuse_unsupported(gguf: &Gguf) -> Result<()> {
    for info in gguf.tensor_infos() {
        let coding = gguf.coding(info);
        if let Coding::Other(kind) = &coding
            && [TL1, TL2].contains(&&kind[..])
        {
            return Err(gguf.bad(format!(
                "tensor `{}` has type {kind}, a lookup-table format whose tile sizes are not in the file; \
                 use the I2_S file of the model",
                info.name
            )));
        }
    }
    Ok(())
}

/// Returns how linear weights are stored. Those of the families that are not BitNets are in full precision
/// unless a layer has a ternary type, or the first layer holds floats that are ternary already.
fn weight_format(gguf: &Gguf, architecture: Architecture) -> WeightFormat {
    let packed = |info: &TensorInfo| gguf.coding(info).is_ternary() && info.name.starts_with("blk.");
    let first = gguf.tensor_info("blk.0.attn_q.weight").map(|info| gguf.stored(info));
    let is_ternary = architecture.is_bitnet()
        || gguf.as_bitnet
        || gguf.tensor_infos().iter().any(packed)
        || first.is_some_and(|stored| ternary_value(&stored).is_some());
    if is_ternary { WeightFormat::Packed(ScaleRule::Multiply) } else { WeightFormat::Floats }
}

/// Returns which linear layers have a bias: those whose bias the first layer has.
fn biases(gguf: &Gguf) -> Biases {
    let has_bias = |part: &str| gguf.tensor_info(&format!("blk.0.{part}.bias")).is_some();
    Biases {
        qkv: has_bias("attn_q") || has_bias("attn_k") || has_bias("attn_v"),
        output: has_bias("attn_output"),
        mlp: has_bias("ffn_gate") || has_bias("ffn_up") || has_bias("ffn_down"),
    }
}

/// Returns the size of the vocabulary: the value of its key, else the number of tokens, else the rows of the
/// embedding.
fn vocabulary_size(gguf: &Gguf, key: Option<usize>) -> Result<usize> {
    let keys = gguf.keys();
    let tokens = keys.array(TOKENS)?.map(super::value::Array::len);
    let rows = || gguf.get(EMBEDDING, "").ok().and_then(|stored| stored.shape.first().copied());
    let size = key.or(tokens).or_else(rows).ok_or_else(|| keys.missing(TOKENS))?;
    if size == 0 || size as u64 > MAX_VOCABULARY {
        let reason = format!("but must be from 1 to {MAX_VOCABULARY}");
        return Err(keys.bad(TOKENS, format!("{size} items"), reason));
    }
    Ok(size)
}

/// Returns the width of a head, which the widths of rotation and values must equal.
fn head_dim(keys: &Keys<'_>, prefix: &str, hidden: usize, heads: usize) -> Result<usize> {
    let key = |key: &str| format!("{prefix}.{key}");
    let length = keys.size(&key("attention.key_length"), MAX_WIDTH)?;
    let rotary = keys.size(&key("rope.dimension_count"), MAX_WIDTH)?;
    let width = match length.or(rotary) {
        Some(width) => width,
        None if hidden.is_multiple_of(heads) => hidden / heads,
        None => {
            let reason = format!(
                "which is not a multiple of `{}` {heads}: convert it again",
                key("attention.head_count")
            );
            return Err(keys.bad(&key("embedding_length"), hidden, reason));
        }
    };
    for part in ["rope.dimension_count", "attention.value_length"] {
        if let Some(other) = keys.size(&key(part), MAX_WIDTH)?.filter(|other| *other != width) {
            let reason = format!("but only the width of a head, {width}, is supported");
            return Err(keys.bad(&key(part), other, reason));
        }
    }
    Ok(width)
}

/// Returns the tokens that end a text or a turn.
fn stop_tokens(keys: &Keys<'_>) -> Result<Vec<u32>> {
    let turn = match keys.token(EOT)? {
        Some(id) => Some(id),
        None => keys.array(TOKENS)?.and_then(|tokens| {
            let id = tokens.raw_strings().position(|token| END_OF_TURN.contains(&&token[..]));
            id.map(|id| id as u32)
        }),
    };
    let mut ids = Vec::new();
    for id in keys.token(EOS)?.into_iter().chain(turn).chain(keys.token(EOM)?) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Checks that sizes divide each other and that token ids are in the vocabulary.
fn check(keys: &Keys<'_>, prefix: &str, config: &Config) -> Result<()> {
    let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
    if !heads.is_multiple_of(kv_heads) {
        let reason = format!(
            "which is not a multiple of `{prefix}.attention.head_count_kv` {kv_heads}: convert it again"
        );
        return Err(keys.bad(&format!("{prefix}.attention.head_count"), heads, reason));
    }
    if !config.head_dim.is_multiple_of(2) {
        let reason = "which is not a multiple of 2 (rotary halves): convert it again";
        return Err(keys.bad(&format!("{prefix}.attention.key_length"), config.head_dim, reason));
    }
    let bos = config.bos_token_id.iter().map(|id| (BOS, *id));
    for (key, id) in bos.chain(config.eos_token_ids.iter().map(|id| (EOS, *id))) {
        if id as usize >= config.vocab_size {
            return Err(keys.bad(
                key,
                id,
                format!("outside the vocabulary of {}: convert it again", config.vocab_size),
            ));
        }
    }
    Ok(())
}
