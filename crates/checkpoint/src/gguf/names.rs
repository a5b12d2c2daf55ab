//! The names of tensors in GGUF files and in Hugging Face folders, in one table for reading and writing.
//!
//! Reference: llama.cpp `gguf-py/gguf/tensor_mapping.py`.

use crate::shapes;

/// The tensors outside the layers: GGUF name, Hugging Face name.
const MODEL: [(&str, &str); 3] = [
    ("token_embd.weight", shapes::EMBEDDING),
    ("output_norm.weight", shapes::FINAL_NORM),
    ("output.weight", shapes::LM_HEAD),
];

/// The tensors of a layer, without `.weight` or `.bias`: GGUF name, Hugging Face name.
const LAYER: [(&str, &str); 15] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_sub_norm", "self_attn.attn_sub_norm"),
    ("attn_sub_norm", "self_attn.inner_attn_ln"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("ffn_sub_norm", "mlp.ffn_sub_norm"),
    ("ffn_sub_norm", "mlp.ffn_layernorm"),
];

/// Returns the GGUF name of a tensor, or of a linear layer whose name is given without `.weight`; `None` if
/// there is no such name.
pub fn to_gguf(name: &str) -> Option<String> {
    if let Some(pair) = MODEL.iter().find(|pair| pair.1 == name) {
        return Some(pair.0.into());
    }
    let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let ends = [".weight", ".bias"];
    let end = ends.into_iter().find(|end| part.ends_with(end)).unwrap_or_default();
    let part = part.strip_suffix(end).unwrap_or(part);
    let pair = LAYER.iter().find(|pair| pair.1 == part)?;
    is_number(layer).then(|| format!("blk.{layer}.{}{end}", pair.0))
}

/// Returns whether a text consists of digits.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Architecture;

    #[test]
    fn every_tensor_of_a_model_has_its_own_gguf_name() {
        let json = r#"{"architectures": ["BitNetForCausalLM"], "num_hidden_layers": 12, "vocab_size": 64,
            "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}"#;
        let config = crate::Config::from_json(json, "config.json").unwrap();
        for architecture in Architecture::ALL {
            let config = crate::Config { architecture, ..config.clone() };
            let linears = config.all_linears().map(|shape| format!("{}.weight", shape.name));
            let norms = config.all_norms().map(|shape| shape.name);
            let model = [shapes::EMBEDDING.to_string(), shapes::LM_HEAD.to_string()];
            let names: Vec<String> = linears.chain(norms).chain(model).collect();
            let found: BTreeSet<String> = names.iter().map(|name| to_gguf(name).expect(name)).collect();
            assert_eq!(found.len(), names.len(), "two tensors of {architecture:?} have one name");
        }
    }

    #[test]
    fn known_names() {
        for (hugging_face, gguf) in [
            ("model.embed_tokens.weight", Some("token_embd.weight")),
            ("model.layers.29.mlp.ffn_layernorm.weight", Some("blk.29.ffn_sub_norm.weight")),
            ("model.layers.3.self_attn.o_proj", Some("blk.3.attn_output")),
            ("model.layers.3.self_attn.q_proj.bias", Some("blk.3.attn_q.bias")),
            ("model.layers.3.self_attn.q_norm.weight", Some("blk.3.attn_q_norm.weight")),
            ("model.layers..mlp.up_proj.weight", None),
            ("model.layers.3.mlp.fc.weight", None),
        ] {
            assert_eq!(to_gguf(hugging_face).as_deref(), gguf);
        }
    }
}
