//! The keys of `config.json` that are known, in one table each for the file and its nested objects.

use serde_json::Value;

use crate::{
    Architecture, Result,
    json::Object,
    remarks::Remarks,
    setting_rules::{
        Rule::{self, Harmless, Only, Read},
        Setting,
    },
};

/// The keys of the top level.
const TOP: [(&str, Rule); 101] = [
    ("act_fn", Read),
    ("activation", Read),
    ("activation_function", Read),
    ("architectures", Read),
    ("attention_bias", Read),
    ("bos_token_id", Read),
    ("eos_token_id", Read),
    ("head_dim", Read),
    ("hidden_act", Read),
    ("hidden_activation", Read),
    ("hidden_size", Read),
    ("intermediate_size", Read),
    ("layer_norm_eps", Read),
    ("layer_norm_epsilon", Read),
    ("max_position_embeddings", Read),
    ("mlp_bias", Read),
    ("norm_eps", Read),
    ("num_attention_heads", Read),
    ("num_hidden_layers", Read),
    ("num_key_value_heads", Read),
    ("partial_rotary_factor", Read),
    ("quantization_config", Read),
    ("rms_norm_eps", Read),
    ("rope_parameters", Read),
    ("rope_scaling", Read),
    ("rope_theta", Read),
    ("tie_word_embeddings", Read),
    ("use_mrope", Only(&[])),
    ("use_sliding_window", Only(&[])),
    ("vocab_size", Read),
    ("_attn_implementation", Harmless),
    ("_attn_implementation_autoset", Harmless),
    ("_name_or_path", Harmless),
    ("activation_dropout", Harmless),
    ("add_cross_attention", Only(&[])),
    ("attention_dropout", Harmless),
    ("attn_implementation", Harmless),
    ("attn_pdrop", Harmless),
    ("auto_map", Harmless),
    ("bad_words_ids", Harmless),
    ("begin_suppress_tokens", Harmless),
    ("chunk_size_feed_forward", Only(&[])),
    ("cross_attention_hidden_size", Only(&[])),
    ("decoder_start_token_id", Harmless),
    ("diversity_penalty", Harmless),
    ("do_sample", Harmless),
    ("dtype", Harmless),
    ("early_stopping", Harmless),
    ("embd_pdrop", Harmless),
    ("encoder_no_repeat_ngram_size", Harmless),
    ("exponential_decay_length_penalty", Harmless),
    ("finetuning_task", Harmless),
    ("forced_bos_token_id", Harmless),
    ("forced_eos_token_id", Harmless),
    ("hidden_dropout", Harmless),
    ("id2label", Harmless),
    ("initializer_factor", Harmless),
    ("initializer_range", Harmless),
    ("input_bits", Only(&["8"])),
    ("is_causal", Only(&["true"])),
    ("is_decoder", Harmless),
    ("is_encoder_decoder", Only(&[])),
    ("is_llama_config", Harmless),
    ("label2id", Harmless),
    ("length_penalty", Harmless),
    ("mask_token_id", Harmless),
    ("max_length", Harmless),
    ("max_window_layers", Harmless),
    ("min_length", Harmless),
    ("model_type", Harmless),
    ("no_bias", Only(&["true"])),
    ("no_repeat_ngram_size", Harmless),
    ("norm_type", Only(&["rmsnorm", "rms_norm"])),
    ("num_beam_groups", Harmless),
    ("num_beams", Harmless),
    ("num_return_sequences", Harmless),
    ("original_max_position_embeddings", Read),
    ("output_attentions", Harmless),
    ("output_hidden_states", Harmless),
    ("pad_token_id", Harmless),
    ("position_embedding_type", Only(&["rope", "rotary"])),
    ("prefix", Harmless),
    ("pretraining_tp", Harmless),
    ("problem_type", Harmless),
    ("pruned_heads", Only(&[])),
    ("qk_layernorm", Only(&[])),
    ("remove_invalid_values", Harmless),
    ("repetition_penalty", Harmless),
    ("resid_pdrop", Harmless),
    ("residual_dropout", Harmless),
    ("rope_interleaved", Only(&[])),
    ("task_specific_params", Harmless),
    ("temperature", Harmless),
    ("tf_legacy_loss", Harmless),
    ("tie_encoder_decoder", Only(&[])),
    ("tokenizer_class", Harmless),
    ("torch_dtype", Harmless),
    ("transformers_version", Harmless),
    ("unsloth_fixed", Harmless),
    ("use_cache", Harmless),
    ("weight_bits", Only(&["1", "1.58", "2"])),
];

/// The keys of `quantization_config`.
const QUANTIZATION: [(&str, Rule); 8] = [
    ("linear_class", Read),
    ("modules_to_not_convert", Read),
    ("offline_quantization", Read),
    ("quant_method", Read),
    ("quantization_mode", Read),
    ("use_rms_norm", Read),
    // Only layers with norms of their own use it.
    ("rms_norm_eps", Harmless),
    ("_pre_quantization_dtype", Harmless),
];

/// Lists the keys that no rule reads.
///
/// # Errors
/// Returns an error if such a key may change what the model computes.
pub(super) fn check(root: &Object<'_>, architecture: Architecture, remarks: &mut Remarks) -> Result<()> {
    let off = root.flag("use_sliding_window")?.or(architecture.has_optional_window().then_some(false));
    check_object(root, &TOP, off == Some(false), remarks)?;
    match root.object("quantization_config")? {
        Some(quantization) => check_object(&quantization, &QUANTIZATION, false, remarks),
        None => Ok(()),
    }
}

fn check_object(
    object: &Object<'_>,
    known: &[(&str, Rule)],
    no_window: bool,
    remarks: &mut Remarks,
) -> Result<()> {
    for (key, value) in object.entries() {
        let rule = known.iter().find(|(name, _)| *name == key).map(|(_, rule)| *rule);
        let rule = special_rule(object, key, value, no_window).or(rule);
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Setting { file: object.file, key: &object.full_name(key), value: &text }.judge(rule, remarks)?;
    }
    Ok(())
}

/// Returns the rule of a key whose effect depends on other keys.
fn special_rule(object: &Object<'_>, key: &str, value: &Value, no_window: bool) -> Option<Rule> {
    match key {
        // A window is off if another key says so, or if it is as long as the model's context.
        "sliding_window" => {
            let positions = object.get("max_position_embeddings").and_then(Value::as_u64);
            let long = positions.zip(value.as_u64()).is_some_and(|(positions, window)| window >= positions);
            Some(if no_window || long { Harmless } else { Only(&[]) })
        }
        "layer_types" => {
            let full = |kinds: &Vec<Value>| kinds.iter().all(|kind| kind == "full_attention");
            Some(if value.as_array().is_some_and(full) { Harmless } else { Only(&["full_attention"]) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    const SIZES: &str = r#""architectures": ["BitNetForCausalLM"], "vocab_size": 64, "hidden_size": 64,
        "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
        "max_position_embeddings": 256"#;

    fn refusal(settings: &str) -> Option<String> {
        Config::from_json(&format!("{{{SIZES}, {settings}}}"), "config.json").err().map(|e| e.to_string())
    }

    #[test]
    fn no_key_is_in_a_table_twice() {
        for table in [&super::TOP[..], &super::QUANTIZATION] {
            let mut keys: Vec<_> = table.iter().map(|(key, _)| *key).collect();
            keys.sort_unstable();
            assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{keys:?}");
        }
    }

    #[test]
    fn settings_that_may_change_results_are_refused_by_name() {
        for (settings, key) in [
            (r#""attn_logit_softcapping": 50.0"#, "attn_logit_softcapping"),
            (r#""residual_multiplier": 0.22"#, "residual_multiplier"),
            (r#""use_hadamard": true"#, "use_hadamard"),
            (r#""qkv_bias": true"#, "qkv_bias"),
            (r#""num_local_experts": 8"#, "num_local_experts"),
            (r#""sliding_window": 64"#, "sliding_window"),
            (r#""layer_types": ["full_attention", "sliding_attention"]"#, "layer_types"),
            (r#""input_bits": 4"#, "input_bits"),
            (
                r#""quantization_config": {"quant_method": "bitnet", "act_scale": 3}"#,
                "quantization_config.act_scale",
            ),
        ] {
            let message = refusal(settings).unwrap_or_else(|| panic!("{settings} is accepted"));
            assert!(message.contains(&format!("`{key}`")), "{message}");
        }
    }

    #[test]
    fn settings_that_are_off_are_accepted() {
        for settings in [
            r#""attn_logit_softcapping": null, "residual_multiplier": 1.0, "use_hadamard": false"#,
            r#""sliding_window": null"#,
            r#""sliding_window": 64, "use_sliding_window": false, "max_window_layers": 2"#,
            r#""sliding_window": 256"#,
            r#""layer_types": ["full_attention", "full_attention"]"#,
            r#""weight_bits": 1, "input_bits": 8, "pretraining_tp": 1, "rope_scaling": null"#,
            r#""favourite_colour": "blue""#,
        ] {
            assert_eq!(refusal(settings), None, "{settings}");
        }
    }
}
