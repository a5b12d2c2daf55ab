//! Describes a model as GGUF metadata, with the keys that the official file has and that llama.cpp needs.
//!
//! References: the metadata of microsoft/bitnet-b1.58-2B-4T-gguf; `llm_load_hparams` and `llm_load_vocab` in
//! the llama.cpp of bitnet.cpp.

use crate::{Architecture, Config, Error, Result};

use super::{
    config::HIDDEN_ACTIVATION,
    vocabulary::{
        ADD_BOS, ADD_EOS, ADD_SPACE, BOS, EOM, EOS, EOT, MERGES, MODEL, PADDING, PRE, SCORES, TEMPLATE,
        TOKENS, TYPES, UNKNOWN, Vocabulary,
    },
    write::Field,
};

/// The version of the block formats, which has never changed.
const QUANTIZATION_VERSION: u32 = 2;
/// The tokenizer model by which llama.cpp recognises a model without a tokenizer.
const NO_VOCABULARY: &str = "no_vocab";

/// Returns the name of the architecture in files.
fn architecture(config: &Config) -> &'static str {
    match config.architecture {
        Architecture::BitNet => "bitnet-b1.58",
        Architecture::OneBitLlm => "bitnet",
        Architecture::Llama => "llama",
        Architecture::Qwen2 => "qwen2",
        Architecture::Qwen3 => "qwen3",
    }
}

/// Returns the keys and values in the order of the official file.
pub(super) fn fields<'a>(
    config: &Config,
    file_type: u32,
    vocabulary: Option<&'a Vocabulary>,
    name: &'a str,
) -> Vec<(String, Field<'a>)> {
    let architecture = architecture(config);
    let with_prefix = |key: &str, field| (format!("{architecture}.{key}"), field);
    let size = |key: &str, size: usize| with_prefix(key, Field::U32(size as u32));
    let mut fields = vec![
        ("general.architecture".into(), Field::Text(architecture)),
        ("general.name".into(), Field::Text(name)),
        size("vocab_size", config.vocab_size),
        size("context_length", config.max_position_embeddings),
        size("embedding_length", config.hidden_size),
        size("block_count", config.num_hidden_layers),
        size("feed_forward_length", config.intermediate_size),
        size("rope.dimension_count", config.head_dim),
        size("attention.head_count", config.num_attention_heads),
        size("attention.head_count_kv", config.num_key_value_heads),
        with_prefix("attention.layer_norm_rms_epsilon", Field::F32(config.rms_norm_eps as f32)),
        with_prefix("rope.freq_base", Field::F32(config.rope_theta as f32)),
    ];
    if config.hidden_act != config.architecture.usual_activation() {
        fields.push(with_prefix(HIDDEN_ACTIVATION, Field::Text(config.hidden_act.name())));
    }
    // Without this key, readers would divide the hidden size by the number of heads.
    if config.head_dim * config.num_attention_heads != config.hidden_size {
        fields.push(size("attention.key_length", config.head_dim));
        fields.push(size("attention.value_length", config.head_dim));
    }
    fields.push(("general.file_type".into(), Field::U32(file_type)));
    fields.extend(tokenizer(config, vocabulary).into_iter().map(|(key, field)| (key.to_string(), field)));
    fields.push(("general.quantization_version".into(), Field::U32(QUANTIZATION_VERSION)));
    fields
}

/// The number of stop tokens for which a file has keys.
const STOP_TOKENS: usize = 3;

/// Checks that the file has keys for all stop tokens.
///
/// # Errors
/// Returns an error if there are more. `file` is the checkpoint that is written.
pub(super) fn check_stop_tokens(config: &Config, file: &str) -> Result<()> {
    let ids = &config.eos_token_ids;
    if ids.len() <= STOP_TOKENS {
        return Ok(());
    }
    let reason = format!("but a GGUF file has keys for {STOP_TOKENS} tokens that end a text: list fewer");
    Err(Error::ConfigValue {
        file: file.into(),
        key: "eos_token_id".into(),
        value: format!("{ids:?}"),
        reason,
    })
}

/// Returns the stop token to write besides the first: the one that ends a turn of a chat, if any does.
fn end_of_turn(config: &Config, vocabulary: Option<&Vocabulary>) -> Option<u32> {
    let others = config.eos_token_ids.get(1..).unwrap_or_default();
    let ends_turn = |id: &&u32| {
        let piece = vocabulary.and_then(|v| v.tokens.get(**id as usize));
        piece.is_some_and(|piece| super::config::END_OF_TURN.contains(&piece.as_bytes()))
    };
    others.iter().find(ends_turn).or(others.first()).copied()
}

/// Returns the keys and values of the tokenizer.
fn tokenizer<'a>(config: &Config, vocabulary: Option<&'a Vocabulary>) -> Vec<(&'static str, Field<'a>)> {
    let mut fields = vec![(MODEL, Field::Text(vocabulary.map_or(NO_VOCABULARY, |v| &v.model)))];
    let mut add = |key, field: Option<Field<'a>>| fields.extend(field.map(|field| (key, field)));
    let id = |first: Option<u32>, second: Option<u32>| first.or(second).map(Field::U32);
    // A token that is added to every text must be the one that the tokenizer adds.
    let added = |flag: fn(&Vocabulary) -> Option<bool>, get: fn(&Vocabulary) -> Option<u32>| {
        vocabulary.filter(|v| flag(v) == Some(true)).and_then(get)
    };
    let (bos, eos) = (added(|v| v.add_bos, |v| v.bos), added(|v| v.add_eos, |v| v.eos));
    if let Some(v) = vocabulary {
        add(PRE, v.pre.as_deref().map(Field::Text));
        add(TOKENS, Some(Field::Texts(&v.tokens)));
        add(SCORES, Some(Field::F32s(&v.scores)).filter(|_| !v.scores.is_empty()));
        add(TYPES, Some(Field::I32s(&v.token_types)).filter(|_| !v.token_types.is_empty()));
        add(MERGES, Some(Field::Texts(&v.merges)).filter(|_| !v.merges.is_empty()));
    }
    let from_vocabulary = |get: fn(&Vocabulary) -> Option<u32>| vocabulary.and_then(get);
    add(BOS, id(bos.or(config.bos_token_id), from_vocabulary(|v| v.bos)));
    add(EOS, id(eos.or(config.eos_token_ids.first().copied()), from_vocabulary(|v| v.eos)));
    let turn = end_of_turn(config, vocabulary);
    add(EOT, turn.map(Field::U32));
    let third = config.eos_token_ids.iter().skip(1).find(|id| Some(**id) != turn);
    add(EOM, third.copied().map(Field::U32));
    if let Some(v) = vocabulary {
        add(UNKNOWN, v.unk.map(Field::U32));
        add(PADDING, v.pad.map(Field::U32));
        add(ADD_BOS, v.add_bos.map(Field::Bool));
        add(ADD_EOS, v.add_eos.map(Field::Bool));
        add(ADD_SPACE, v.add_space_prefix.map(Field::Bool));
        add(TEMPLATE, v.chat_template.as_deref().map(Field::Text));
    }
    fields
}
