use super::*;

const TWO_B: &str = r#"{"architectures":["BitNetForCausalLM"],"model_type":"bitnet","vocab_size":128256,"hidden_size":2560,
"intermediate_size":6912,"num_hidden_layers":30,"num_attention_heads":20,"num_key_value_heads":5,"hidden_act":"relu2",
"max_position_embeddings":4096,"rms_norm_eps":1e-05,"rope_theta":500000.0,"tie_word_embeddings":true,"bos_token_id":128000,
"eos_token_id":128001,"quantization_config":{"quant_method":"bitnet","linear_class":"autobitlinear","quantization_mode":"offline"}}"#;

const LARGE: &str = r#"{"architectures":["BitnetForCausalLM"],"model_type":"llama","vocab_size":32002,"hidden_size":1536,
"intermediate_size":4096,"num_hidden_layers":24,"num_attention_heads":16,"rms_norm_eps":1e-05,"rope_scaling":null,
"tie_word_embeddings":true}"#;

fn parse(text: &str) -> Result<Config> {
    Config::from_json(text, "config.json")
}

fn changed(text: &str, key: &str, value: Value) -> Result<Config> {
    let mut json: Value = serde_json::from_str(text).unwrap();
    json[key] = value;
    parse(&json.to_string())
}

fn without(text: &str, key: &str) -> Result<Config> {
    let mut json: Value = serde_json::from_str(text).unwrap();
    json.as_object_mut().unwrap().remove(key);
    parse(&json.to_string())
}

#[test]
fn reads_2b_4t() {
    let c = parse(TWO_B).unwrap();
    assert_eq!((c.head_dim, c.group_size(), c.kv_width(), c.query_width()), (128, 4, 640, 2560));
    assert_eq!((c.bos_token_id, c.eos_token_ids.as_slice()), (Some(128000), &[128001][..]));
    assert_eq!(c.weights, WeightFormat::Packed(ScaleRule::Multiply));
    assert_eq!((c.hidden_act, c.rope_theta, c.max_position_embeddings), (Activation::Relu2, 500_000.0, 4096));
}

#[test]
fn reads_large_although_it_says_llama() {
    let c = parse(LARGE).unwrap();
    assert_eq!(c.architecture, Architecture::OneBitLlm);
    assert_eq!((c.head_dim, c.num_key_value_heads, c.hidden_act), (96, 16, Activation::Silu));
    assert_eq!((c.rope_theta, c.weights, c.bos_token_id), (10_000.0, WeightFormat::Masters, Some(1)));
}

#[test]
fn missing_optional_keys_take_the_class_defaults() {
    let c = [
        "max_position_embeddings",
        "rms_norm_eps",
        "rope_theta",
        "tie_word_embeddings",
        "num_key_value_heads",
    ]
    .map(|key| without(TWO_B, key).unwrap());
    assert_eq!((c[0].max_position_embeddings, c[1].rms_norm_eps, c[2].rope_theta), (2048, 1e-5, 500_000.0));
    assert_eq!((c[3].tie_word_embeddings, c[4].num_key_value_heads), (false, 5));
    assert_eq!(without(LARGE, "rms_norm_eps").unwrap().rms_norm_eps, 1e-6);
}

#[test]
fn both_rope_spellings() {
    let nested = serde_json::json!({"rope_theta": 123.0, "rope_type": "default"});
    assert_eq!(changed(TWO_B, "rope_parameters", nested).unwrap().rope_theta, 123.0);
    let scaled = serde_json::json!({"rope_theta": 123.0, "rope_type": "yarn"});
    let error = changed(TWO_B, "rope_parameters", scaled).unwrap_err().to_string();
    assert!(error.contains("rope_parameters.rope_type") && error.contains("yarn"), "{error}");
}

#[test]
fn quantisation_decides_by_class_and_mode() {
    let of = |q: Value| changed(TWO_B, "quantization_config", q).map(|c| c.weights);
    let json =
        |class: &str, mode: &str| serde_json::json!({"linear_class": class, "quantization_mode": mode});
    assert_eq!(of(json("autobitlinear", "online")).unwrap(), WeightFormat::Masters);
    assert_eq!(of(json("bitlinear", "offline")).unwrap(), WeightFormat::Packed(ScaleRule::Divide));
    assert_eq!(of(serde_json::json!({})).unwrap(), WeightFormat::Packed(ScaleRule::Divide));
    let first_upload = serde_json::json!({"quant_method": "bitnet", "offline_quantization": true});
    assert_eq!(of(first_upload).unwrap(), WeightFormat::Packed(ScaleRule::Multiply));
    assert!(of(json("ternary", "offline")).unwrap_err().to_string().contains("linear_class"));
    assert!(of(json("autobitlinear", "later")).unwrap_err().to_string().contains("quantization_mode"));
    assert!(of(serde_json::json!({"quant_method": "gptq"})).unwrap_err().to_string().contains("gptq"));
}

#[test]
fn needed_keys_are_named_when_missing() {
    for key in ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size"]
    {
        let error = without(LARGE, key).unwrap_err().to_string();
        assert!(error.contains("config.json") && error.contains(key), "{error}");
    }
}

#[test]
fn nonsense_is_refused_with_key_and_value() {
    let cases = [
        ("hidden_size", Value::from(0)),
        ("hidden_size", Value::from(-5)),
        ("hidden_size", Value::from("wide")),
        ("hidden_size", Value::from(2561)),
        ("num_hidden_layers", Value::from(1u64 << 40)),
        ("num_key_value_heads", Value::from(3)),
        ("head_dim", Value::from(127)),
        ("rms_norm_eps", Value::from(-1.0)),
        ("rope_theta", Value::from(0.0)),
        ("eos_token_id", Value::from(999_999)),
        ("bos_token_id", Value::from("x")),
        ("hidden_act", Value::from("gelu")),
        ("tie_word_embeddings", Value::from(1)),
        ("attention_bias", Value::from(true)),
        ("partial_rotary_factor", Value::from(0.5)),
        ("use_sliding_window", Value::from(true)),
        ("rope_scaling", serde_json::json!({"type": "linear", "factor": 2.0})),
        ("architectures", serde_json::json!(["MistralForCausalLM"])),
    ];
    for (key, value) in cases {
        let error = changed(TWO_B, key, value.clone()).unwrap_err().to_string();
        assert!(error.contains(key), "{key} = {value}: {error}");
    }
    assert!(matches!(parse("{"), Err(Error::Json { .. })));
    assert!(matches!(parse("[]"), Err(Error::Json { .. })));
}

const FALCON: &str = r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":131072,"hidden_size":3072,
"intermediate_size":9216,"num_hidden_layers":22,"num_attention_heads":12,"num_key_value_heads":4,"head_dim":256,
"hidden_act":"silu","max_position_embeddings":32768,"rms_norm_eps":1e-06,"rope_theta":1000042,"bos_token_id":null,
"eos_token_id":11,"quantization_config":{"quant_method":"bitnet","modules_to_not_convert":["lm_head"]}}"#;

#[test]
fn reads_falcon_which_divides() {
    let c = parse(FALCON).unwrap();
    assert_eq!((c.architecture, c.weights), (Architecture::Llama, WeightFormat::Packed(ScaleRule::Divide)));
    assert_eq!((c.head_dim, c.query_width(), c.rope_theta), (256, 3072, 1_000_042.0));
    assert_eq!((c.tie_word_embeddings, c.hidden_act), (false, Activation::Silu));
    assert!(c.norms(3).attention_sub.is_none() && c.norms(3).into_iter().count() == 2);
}

#[test]
fn llama_needs_a_sign_of_ternary_weights() {
    let plain = without(FALCON, "quantization_config").unwrap_err().to_string();
    assert!(plain.contains("architectures") && plain.contains("no BitNet"), "{plain}");
    let mut json: Value = serde_json::from_str(FALCON).unwrap();
    json.as_object_mut().unwrap().remove("quantization_config");
    let with = |packed, inner_norms| {
        Config::from_json_with(&json.to_string(), "config.json", Clues { packed, inner_norms }).unwrap()
    };
    let packed = with(true, false);
    assert_eq!(packed.weights, WeightFormat::Packed(ScaleRule::Divide));
    assert_eq!(packed.architecture, Architecture::Llama);
    assert_eq!(with(false, true).architecture, Architecture::OneBitLlm);
}

#[test]
fn null_is_not_absent() {
    let heads = changed(TWO_B, "num_key_value_heads", Value::Null).unwrap();
    assert_eq!(heads.num_key_value_heads, heads.num_attention_heads);
    assert_eq!(parse(FALCON).unwrap().bos_token_id, None);
    assert_eq!(without(FALCON, "bos_token_id").unwrap().bos_token_id, Some(1));
    assert_eq!(changed(TWO_B, "eos_token_id", Value::Null).unwrap().eos_token_ids, [0u32; 0]);
}

#[test]
fn unquantised_layers_are_refused() {
    let listed = |names: Value| {
        changed(
            FALCON,
            "quantization_config",
            serde_json::json!({"quant_method": "bitnet", "modules_to_not_convert": names}),
        )
    };
    assert!(listed(Value::Null).is_ok() && listed(serde_json::json!([])).is_ok());
    let error = listed(serde_json::json!(["model.layers.0.mlp"])).unwrap_err().to_string();
    assert!(error.contains("quantization_config.modules_to_not_convert"), "{error}");
    assert!(listed(Value::from("lm_head")).is_err());
}

#[test]
fn written_configs_read_back() {
    for text in [TWO_B, LARGE, FALCON] {
        let config = parse(text).unwrap();
        assert_eq!(parse(&config.to_json()).unwrap(), config);
    }
}
