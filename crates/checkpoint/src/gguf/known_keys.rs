//! The metadata keys of GGUF files that are known, in one table.

use crate::{
    Result,
    remarks::Remarks,
    setting_rules::{
        Rule::{self, Harmless, Only, Read},
        Setting,
    },
};

use super::{file::Gguf, value::Value};

/// The keys without the name of the architecture.
const OF_ARCHITECTURE: [(&str, Rule); 40] = [
    ("attention.head_count", Read),
    ("attention.head_count_kv", Read),
    ("attention.key_length", Read),
    ("attention.layer_norm_epsilon", Read),
    ("attention.layer_norm_rms_epsilon", Read),
    ("attention.value_length", Read),
    ("block_count", Read),
    ("context_length", Read),
    ("embedding_length", Read),
    ("feed_forward_length", Read),
    ("hidden_activation", Read),
    ("rope.dimension_count", Read),
    ("rope.freq_base", Read),
    ("rope.scale_linear", Read),
    ("rope.scaling.attn_factor", Read),
    ("rope.scaling.factor", Read),
    ("rope.scaling.finetuned", Read),
    ("rope.scaling.original_context_length", Read),
    ("rope.scaling.type", Read),
    ("rope.scaling.yarn_attn_factor", Read),
    ("rope.scaling.yarn_beta_fast", Read),
    ("rope.scaling.yarn_beta_slow", Read),
    ("rope.scaling.yarn_ext_factor", Read),
    ("rope.scaling.yarn_log_multiplier", Read),
    ("vocab_size", Read),
    ("attention.causal", Only(&["true"])),
    ("attention.clamp_kqv", Only(&[])),
    ("attention.max_alibi_bias", Only(&[])),
    ("attention.scale", Only(&[])),
    ("attention.sliding_window", Only(&[])),
    ("attention.temperature_scale", Only(&[])),
    ("embedding_length_per_layer_input", Only(&[])),
    ("expert_count", Only(&["0"])),
    ("expert_used_count", Only(&["0"])),
    ("leading_dense_block_count", Only(&[])),
    ("pooling_type", Harmless),
    ("rope.scaling.alpha", Only(&["1"])),
    ("rope.type", Only(&["neox"])),
    ("tensor_data_layout", Only(&["Meta AI original pth"])),
    ("use_parallel_residual", Only(&[])),
];

/// The first parts of keys that other code reads, or that describe where a file comes from.
const PREFIXES: [(&str, Rule); 7] = [
    ("general.", Read),
    ("tokenizer.", Read),
    ("split.", Read),
    ("quantize.", Harmless),
    ("imatrix.", Harmless),
    ("adapter.", Only(&[])),
    ("clip.", Only(&[])),
];

/// Lists the keys that no rule reads.
///
/// # Errors
/// Returns an error if such a key may change what the model computes.
pub(super) fn check(gguf: &Gguf, remarks: &mut Remarks) -> Result<()> {
    for entry in gguf.metadata() {
        let name = entry.key.strip_prefix(gguf.architecture()).and_then(|key| key.strip_prefix('.'));
        let rule = match name {
            Some(name) => OF_ARCHITECTURE.iter().find(|(key, _)| *key == name),
            None => PREFIXES.iter().find(|(prefix, _)| entry.key.starts_with(prefix)),
        };
        let value = match &entry.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let setting = Setting { file: gguf.file(), key: &entry.key, value: &value };
        setting.judge(rule.map(|(_, rule)| *rule), remarks)?;
    }
    Ok(())
}
