//! What the metadata of a file means, and which metadata is refused.

use bitkv_checkpoint::{Activation, Architecture, Coding, WeightFormat};

use crate::{
    model::noise,
    official::{
        HIDDEN, LINEARS, VOCABULARY, floats, official, open, query, refusal, tensor_mut, with, without,
    },
    raw::{File, Tensor, f32, string, strings, u32},
};

#[test]
fn architectures_are_recognised_by_name() {
    let config = |name: &str| open(&official(name)).unwrap().config().clone();
    assert_eq!(config("bitnet-25").architecture, Architecture::BitNet);
    let large = config("bitnet");
    assert_eq!((large.architecture, large.hidden_act), (Architecture::OneBitLlm, Activation::Silu));
    assert_eq!(config("llama").architecture, Architecture::Llama);
    assert_eq!(config("qwen3").architecture, Architecture::Qwen3);
    let message = refusal(&official("gemma3"));
    assert!(message.contains("`general.architecture` is `gemma3`, but only bitnet"), "{message}");
}

#[test]
fn optional_keys_have_defaults_and_required_ones_are_named() {
    let file = without(official("bitnet"), "bitnet.rope.freq_base");
    let file = without(without(file, "bitnet.vocab_size"), "bitnet.rope.dimension_count");
    let file = without(file, "tokenizer.ggml.bos_token_id");
    let config = open(&file).unwrap().config().clone();
    assert_eq!((config.rope_theta, config.vocab_size, config.head_dim), (10_000.0, VOCABULARY, 64));
    assert_eq!(config.bos_token_id, None);
    for key in ["context_length", "embedding_length", "block_count", "attention.layer_norm_rms_epsilon"] {
        let key = format!("bitnet.{key}");
        let message = refusal(&without(official("bitnet"), &key));
        assert!(message.contains(&format!("it lacks the key `{key}`")), "{message}");
    }
    let message = refusal(&without(official("bitnet"), "general.architecture"));
    assert!(message.contains("it lacks the key `general.architecture`"), "{message}");
}

#[test]
fn chat_models_stop_at_the_end_of_a_turn() {
    let ids = |file: &File| open(file).unwrap().config().eos_token_ids.clone();
    let file = official("bitnet-b1.58");
    assert_eq!(ids(&with(file.clone(), "tokenizer.ggml.eot_token_id", u32(7))), [4, 7]);
    let mut tokens = vec!["x"; VOCABULARY];
    tokens[9] = "<|eot_id|>";
    assert_eq!(ids(&with(file.clone(), "tokenizer.ggml.tokens", strings(&tokens))), [4, 9]);
    let message = refusal(&with(file, "tokenizer.ggml.eos_token_id", u32(40)));
    assert!(
        message.contains("`tokenizer.ggml.eos_token_id` is 40, outside the vocabulary of 40"),
        "{message}"
    );
}

#[test]
fn unsupported_features_are_named() {
    let tl = |kind: u32| {
        let mut file = official("bitnet");
        tensor_mut(&mut file, "blk.0.ffn_up.weight").kind = kind;
        refusal(&file)
    };
    assert!(tl(38).contains("`blk.0.ffn_up.weight` has type TL1, a lookup-table format"), "{}", tl(38));
    assert!(tl(39).contains("has type TL2"), "{}", tl(39));
    let bias = |length: usize| {
        let bias = Tensor::new("blk.0.attn_q.bias", &[length as u64], 0, floats(vec![0.0; length]));
        let checkpoint = open(&official("bitnet").tensor(bias)).unwrap();
        let [q, k, ..] = checkpoint.config().linears(0);
        [checkpoint.bias(&q), checkpoint.bias(&k)].map(|bias| bias.map_err(|error| error.to_string()))
    };
    assert_eq!(bias(HIDDEN)[0], Ok(Some(vec![0.0; HIDDEN])));
    assert!(bias(HIDDEN)[1].as_ref().unwrap_err().contains("it lacks the tensor `blk.0.attn_k.bias`"));
    assert!(bias(3)[0].as_ref().unwrap_err().contains("`blk.0.attn_q.bias` has shape [3]"));
    let factors = |x: f32| Tensor::new("rope_freqs.weight", &[32], 0, floats([x; 32]));
    assert!(open(&official("llama").tensor(factors(1.0))).is_ok());
    let scaled = open(&official("llama").tensor(factors(8.0))).unwrap().config().clone();
    assert_eq!(scaled.rope_frequencies()[0], 0.125);
    assert!(refusal(&official("llama").tensor(factors(0.0))).contains("`rope_freqs.weight` holds 0"));
    let scaling = |kind: &str| official("llama").field("llama.rope.scaling.type", string(kind));
    assert!(open(&scaling("none")).is_ok());
    assert!(refusal(&scaling("yarn")).contains(
        "`llama.rope.scaling.type` is \"yarn\", but only the RoPE types default, linear and llama3"
    ));
    let experts = official("llama").field("llama.expert_count", u32(8));
    assert!(refusal(&experts).contains("`llama.expert_count` is 8, but only 0 is supported"));
    let rotary = with(official("bitnet"), "bitnet.rope.dimension_count", u32(32));
    assert!(
        refusal(&rotary.field("bitnet.attention.key_length", u32(64)))
            .contains("only the width of a head, 64")
    );
    let heads = with(official("bitnet"), "bitnet.attention.head_count_kv", u32(3));
    assert!(refusal(&heads).contains("is 4, which is not a multiple of `bitnet.attention.head_count_kv` 3"));
}

/// Until July 2026, converters wrote a linear scaling with factor 1 into every BitNet file.
#[test]
fn settings_that_do_not_scale_rope_are_accepted() {
    let file = official("bitnet").field("bitnet.rope.scaling.type", string("linear"));
    for (key, value) in [
        ("bitnet.rope.scaling.factor", f32(1.0)),
        ("bitnet.rope.scaling.factor", u32(1)),
        ("bitnet.rope.scale_linear", f32(1.0)),
        ("bitnet.rope.scaling.attn_factor", f32(1.0)),
        ("bitnet.rope.scaling.original_context_length", u32(2048)),
    ] {
        let checkpoint =
            open(&file.clone().field(key, value)).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(checkpoint.config().rope_theta, open(&official("bitnet")).unwrap().config().rope_theta);
    }
    for (key, frequency) in [("bitnet.rope.scaling.factor", 0.25), ("bitnet.rope.scale_linear", 0.25)] {
        let scaled = open(&file.clone().field(key, f32(4.0))).unwrap();
        assert_eq!(scaled.config().rope_frequencies()[0], frequency, "{key}");
    }
    for (key, value) in [
        ("bitnet.rope.scaling.factor", f32(-4.0)),
        ("bitnet.rope.scaling.attn_factor", f32(0.5)),
        ("bitnet.rope.scaling.yarn_ext_factor", f32(1.0)),
        ("bitnet.rope.scaling.low_freq_factor", f32(4.0)),
        ("bitnet.rope.dimension_sections", u32(4)),
        ("bitnet.final_logit_softcapping", f32(30.0)),
        ("bitnet.attention.sliding_window", u32(64)),
        ("bitnet.embedding_scale", f32(12.0)),
    ] {
        let message = refusal(&file.clone().field(key, value));
        assert!(message.contains(&format!("`{key}` is ")), "{message}");
    }
}

#[test]
fn the_key_of_the_activation_decides() {
    let activation = |architecture: &str, name: &str| {
        let key = format!("{architecture}.hidden_activation");
        open(&official(architecture).field(&key, string(name))).map(|found| found.config().hidden_act)
    };
    assert_eq!(activation("bitnet", "relu2").unwrap(), Activation::Relu2);
    assert_eq!(activation("bitnet", "silu").unwrap(), Activation::Silu);
    assert_eq!(activation("bitnet-b1.58", "silu").unwrap(), Activation::Silu);
    assert_eq!(activation("llama", "relu2").unwrap(), Activation::Relu2);
    let message = activation("bitnet", "gelu").unwrap_err().to_string();
    assert!(message.contains("`bitnet.hidden_activation` is \"gelu\""), "{message}");
}

#[test]
fn a_token_id_of_minus_one_is_none() {
    let none = [(5, (-1i32).to_le_bytes().to_vec()), u32(u32::MAX), (11, (-1i64).to_le_bytes().to_vec())];
    for none in none {
        let file = with(official("bitnet"), "tokenizer.ggml.bos_token_id", none.clone());
        let config = open(&with(file, "tokenizer.ggml.eos_token_id", none)).unwrap().config().clone();
        assert_eq!((config.bos_token_id, config.eos_token_ids), (None, vec![]));
    }
}

#[test]
fn implausible_numbers_are_refused() {
    for (key, value) in [
        ("bitnet.rope.freq_base", f32(0.0)),
        ("bitnet.rope.freq_base", f32(1e30)),
        ("bitnet.rope.freq_base", u32(10_000)),
        ("bitnet.attention.layer_norm_rms_epsilon", f32(1e30)),
    ] {
        let message = refusal(&with(official("bitnet"), key, value));
        assert!(
            message.contains(&format!("`{key}` is ")) && message.contains("must be a float"),
            "{message}"
        );
    }
}

#[test]
fn layers_that_would_be_left_out_are_named() {
    let mut file = official("bitnet");
    let names: Vec<String> = file.tensors.iter().map(|tensor| tensor.name.clone()).collect();
    for name in names.iter().filter(|name| name.starts_with("blk.0.")) {
        let mut tensor = tensor_mut(&mut file, name).clone();
        tensor.name = name.replace("blk.0.", "blk.1.");
        file.tensors.push(tensor);
    }
    let message = open(&file).unwrap().check_unused_tensors().unwrap_err().to_string();
    assert!(message.contains("`bitnet.block_count` is 1, but the weights have 2 layers"), "{message}");
}

/// Two programs use type 39 for different types.
#[test]
fn the_two_meanings_of_type_39_are_distinguished() {
    let mut file = official("llama");
    let tensor = tensor_mut(&mut file, "blk.0.ffn_up.weight");
    (tensor.kind, tensor.bytes) = (39, vec![0; HIDDEN * HIDDEN / 32 * 17]);
    let coding = |file: &File| open(file).unwrap().tensors().unwrap()[10].coding.clone();
    assert_eq!(coding(&file), Coding::Other("MXFP4".into()));
    assert!(refusal(&with(file.clone(), "general.file_type", u32(39))).contains("has type TL2"));
    tensor_mut(&mut file, "blk.0.ffn_up.weight").kind = 77;
    assert_eq!(coding(&file), Coding::Other("unknown (77)".into()));
    let checkpoint = open(&file).unwrap();
    let message = checkpoint.linear(&checkpoint.config().linears(0)[5]).unwrap_err().to_string();
    assert!(
        message.contains("`blk.0.ffn_up.weight` has type unknown (77), but a linear layer must be"),
        "{message}"
    );
}

/// With eight-bit activations, an ordinary Llama would compute nonsense.
#[test]
fn a_llama_without_ternary_weights_is_in_full_precision() {
    let mut file = official("llama");
    for (name, rows, cols) in LINEARS {
        let tensor = tensor_mut(&mut file, name);
        tensor.kind = 0;
        tensor.bytes = floats((0..rows * cols).map(|i| (noise(i as u64) % 999) as f32 / 99.0));
    }
    let checkpoint = open(&file).unwrap();
    assert_eq!(checkpoint.config().weights, WeightFormat::Floats);
    let shapes: Vec<_> = checkpoint.config().all_linears().collect();
    assert!(shapes.iter().all(|shape| !checkpoint.linear(shape).unwrap().is_ternary()));
    let tensor = tensor_mut(&mut file, "blk.0.attn_q.weight");
    tensor.bytes = floats((0..HIDDEN * HIDDEN).map(|i| [-2.5, 0.0, 2.5][i % 3]));
    let mixed = open(&file).unwrap();
    assert_eq!(query(&mixed).1, 2.5);
    let ternary = shapes.iter().filter(|shape| mixed.linear(shape).unwrap().is_ternary()).count();
    assert_eq!(ternary, 1, "the other layers stay in full precision");
}

#[test]
fn shapes_must_agree_with_the_metadata() {
    let mut file = official("bitnet");
    tensor_mut(&mut file, "blk.0.attn_q.weight").dims = vec![512, 128];
    let checkpoint = open(&file).unwrap();
    let message = checkpoint.linear(&checkpoint.config().linears(0)[0]).unwrap_err().to_string();
    let expected = "`blk.0.attn_q.weight` has shape [128, 512], but its metadata requires [256, 256]";
    assert!(message.contains(expected), "{message}");
    let mut file = official("bitnet");
    file.tensors.remove(5);
    let checkpoint = open(&file).unwrap();
    let message = checkpoint.linear(&checkpoint.config().linears(0)[0]).unwrap_err().to_string();
    assert!(message.contains("it lacks the tensor `blk.0.attn_q.weight`"), "{message}");
}
