//! Reads and checks a `config.json`.

mod activation;
mod known_keys;
mod rope;

use std::{ops::RangeInclusive, path::Path};

use serde_json::Value;

use crate::{
    Architecture, Biases, Config, Error, Result, ScaleRule, WeightFormat,
    json::{self, Object},
    remarks::Remarks,
};

/// A larger width is treated as damage to the file.
pub(crate) const MAX_WIDTH: u64 = 1 << 20;
/// A larger number of layers is treated as damage.
pub(crate) const MAX_LAYERS: u64 = 1 << 12;
/// A larger number of positions is treated as damage.
pub(crate) const MAX_POSITIONS: u64 = 1 << 26;
/// A larger vocabulary is treated as damage.
pub(crate) const MAX_VOCABULARY: u64 = 1 << 24;

/// The plausible numbers that a norm adds to the mean square.
pub(crate) const EPSILONS: RangeInclusive<f64> = 1e-12..=0.1;
/// The keys of that number. The reference classes read the first; the others occur in files of other
/// programs.
const EPSILON_KEYS: [&str; 4] = ["rms_norm_eps", "norm_eps", "layer_norm_eps", "layer_norm_epsilon"];

/// What the tensors reveal about a model whose configuration is incomplete, and what the caller knows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Clues {
    /// Whether some weight has a separate scale tensor.
    pub(crate) packed: bool,
    /// Whether there are `inner_attn_ln` norms, which only the 1bitLLM models have.
    pub(crate) inner_norms: bool,
    /// Whether the linear layers hold floats that are ternary already.
    pub(crate) ternary: bool,
    /// Whether the caller says that the weights are masters of a BitNet.
    pub(crate) as_bitnet: bool,
}

impl Config {
    /// Reads `config.json` in `folder`, without looking at the tensors.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or [`Config::from_json`] fails.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        Ok(Config::from_folder_with(folder, Clues::default())?.0)
    }

    /// Checks that there is a `config.json` in `folder`.
    ///
    /// # Errors
    /// Returns an error if its metadata cannot be read.
    pub(crate) fn exists(folder: &Path) -> Result<()> {
        let path = folder.join("config.json");
        std::fs::metadata(&path).map(drop).map_err(|source| Error::Read { path, source })
    }

    /// Reads `config.json` in `folder`, with clues from the names of the tensors.
    pub(crate) fn from_folder_with(folder: &Path, clues: Clues) -> Result<(Self, Remarks)> {
        let path = folder.join("config.json");
        Config::from_json_with(
            &json::read_text(&path, bitkv_bytes::limit::SETTINGS)?,
            &path.display().to_string(),
            clues,
        )
    }

    /// Reads the text of a `config.json`; errors call it `file`. Missing keys take the defaults of the
    /// reference class.
    ///
    /// # Errors
    /// Returns an error if a required key is missing, a value has the wrong type or is zero, implausibly
    /// large or unsupported, or one size does not divide another.
    pub fn from_json(text: &str, file: &str) -> Result<Self> {
        Ok(Config::from_json_with(text, file, Clues::default())?.0)
    }

    /// Reads the text of a `config.json`, with clues from the names of the tensors.
    pub(crate) fn from_json_with(text: &str, file: &str, clues: Clues) -> Result<(Self, Remarks)> {
        let value = json::parse(text, file)?;
        let root = Object::root(file, &value)?;
        let mut remarks = Remarks::default();
        let architecture = architecture(&root, clues)?;
        let defaults = Defaults::new(architecture);
        check_method(&root)?;
        known_keys::check(&root, architecture, &mut remarks)?;

        let hidden_size = root.needed_size("hidden_size", MAX_WIDTH)?;
        let num_attention_heads = root.needed_size("num_attention_heads", MAX_WIDTH)?;
        let vocab_size = root.needed_size("vocab_size", MAX_VOCABULARY)?;
        // If the default id is outside a small vocabulary, the model has no such token. An explicit null
        // means the same.
        let special = |key: &'static str, id: Option<u32>| match root.token_ids(key)? {
            Some(ids) => Ok(ids),
            None if root.is_null(key) => Ok(vec![]),
            None => Ok(id.into_iter().filter(|id| (*id as usize) < vocab_size).collect()),
        };
        let rope = rope::read(&root, defaults.rope_theta, &mut remarks)?;
        let config = Config {
            architecture,
            vocab_size,
            hidden_size,
            intermediate_size: root.needed_size("intermediate_size", MAX_WIDTH)?,
            num_hidden_layers: root.needed_size("num_hidden_layers", MAX_LAYERS)?,
            num_attention_heads,
            // The reference classes read an explicit null as the number of query heads.
            num_key_value_heads: match root.size("num_key_value_heads", MAX_WIDTH)? {
                Some(heads) => heads,
                None if root.is_null("num_key_value_heads") => num_attention_heads,
                None => defaults.kv_heads.unwrap_or(num_attention_heads),
            },
            head_dim: match root.size("head_dim", MAX_WIDTH)? {
                Some(head_dim) => head_dim,
                None if let Some(width) = defaults.head_dim => width,
                None => {
                    divide(&root, "hidden_size", hidden_size, "num_attention_heads", num_attention_heads)?
                }
            },
            hidden_act: activation::read(&root, &mut remarks)?.unwrap_or(architecture.usual_activation()),
            max_position_embeddings: root
                .size("max_position_embeddings", MAX_POSITIONS)?
                .unwrap_or(defaults.positions),
            rms_norm_eps: epsilon(&root, &mut remarks)?.unwrap_or(defaults.epsilon),
            rope_theta: rope.theta,
            rope_scaling: rope.scaling,
            biases: biases(&root, architecture)?,
            tie_word_embeddings: root.flag("tie_word_embeddings")?.unwrap_or(false),
            bos_token_id: special("bos_token_id", defaults.bos)?.first().copied(),
            eos_token_ids: special("eos_token_id", defaults.eos)?,
            weights: weight_format(&root, architecture, clues)?,
            full_precision_layers: full_precision_layers(&root, &mut remarks)?,
            plain_llama: false,
        };
        config.check(&root)?;
        Ok((config, remarks))
    }

    /// Checks that sizes divide each other and that token ids are in the vocabulary.
    fn check(&self, root: &Object<'_>) -> Result<()> {
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        divide(root, "num_attention_heads", heads, "num_key_value_heads", kv_heads)?;
        divide(root, "head_dim", self.head_dim, "2 (rotary halves)", 2)?;
        let bos = self.bos_token_id.iter().map(|id| ("bos_token_id", id));
        for (key, id) in bos.chain(self.eos_token_ids.iter().map(|id| ("eos_token_id", id))) {
            if *id as usize >= self.vocab_size {
                return Err(root.bad(
                    key,
                    id,
                    format!("outside the vocabulary of {}: {ORIGINAL}", self.vocab_size),
                ));
            }
        }
        Ok(())
    }
}

/// What to do about a value that contradicts another.
const ORIGINAL: &str = "use the config.json that came with the weights";

/// Returns `size / by`, where `size` is the value of `key` and `by` the value of `by_key`.
///
/// # Errors
/// Returns an error if `by` does not divide `size`.
fn divide(root: &Object<'_>, key: &str, size: usize, by_key: &str, by: usize) -> Result<usize> {
    if size.is_multiple_of(by) {
        return Ok(size / by);
    }
    let by = if by_key.starts_with('2') { by_key.into() } else { format!("`{by_key}` {by}") };
    Err(root.bad(key, size, format!("which is not a multiple of {by}: {ORIGINAL}")))
}

/// Returns the architecture. The name of the class decides, not `model_type`, because the 1bitLLM files have
/// the type llama.
fn architecture(root: &Object<'_>, clues: Clues) -> Result<Architecture> {
    let Some(names) = root.get("architectures") else {
        return match clues.inner_norms {
            true => Ok(Architecture::OneBitLlm),
            false => Err(Error::MissingKey { file: root.file.into(), key: "architectures" }),
        };
    };
    let names_class =
        |a: Architecture| names.as_array().is_some_and(|list| list.iter().any(|n| n == a.name()));
    if names_class(Architecture::BitNet) {
        return Ok(Architecture::BitNet);
    }
    if names_class(Architecture::OneBitLlm) || names_class(Architecture::Llama) && clues.inner_norms {
        return Ok(Architecture::OneBitLlm);
    }
    let known = [Architecture::Llama, Architecture::Qwen2, Architecture::Qwen3];
    known.into_iter().find(|architecture| names_class(*architecture)).ok_or_else(|| {
        let all: Vec<&str> = Architecture::ALL.map(Architecture::name).into();
        let reason = format!("but only {} are supported: use another model", all.join(", "));
        root.bad("architectures", names, reason)
    })
}

/// The values of keys that a file lacks, in the reference class of an architecture.
struct Defaults {
    /// The number of KV heads; `None` for as many as query heads.
    kv_heads: Option<usize>,
    /// The width of a head; `None` for the width of the model divided by the number of heads.
    head_dim: Option<usize>,
    positions: usize,
    epsilon: f64,
    rope_theta: f64,
    bos: Option<u32>,
    eos: Option<u32>,
}

impl Defaults {
    fn new(architecture: Architecture) -> Defaults {
        let llama = Defaults {
            kv_heads: None,
            head_dim: None,
            positions: 2048,
            epsilon: 1e-6,
            rope_theta: 10_000.0,
            bos: Some(1),
            eos: Some(2),
        };
        let qwen = Defaults { kv_heads: Some(32), positions: 32_768, bos: None, eos: None, ..llama };
        match architecture {
            Architecture::BitNet => Defaults {
                kv_heads: Some(5),
                epsilon: 1e-5,
                rope_theta: 500_000.0,
                bos: Some(128_000),
                eos: Some(128_001),
                ..llama
            },
            Architecture::OneBitLlm | Architecture::Llama => llama,
            Architecture::Qwen2 => qwen,
            Architecture::Qwen3 => Defaults { head_dim: Some(128), ..qwen },
        }
    }
}

/// Returns the number that every norm adds to the mean square; `None` if no key has it.
fn epsilon(root: &Object<'_>, remarks: &mut Remarks) -> Result<Option<f64>> {
    let mut found: Vec<(&str, f64)> = Vec::new();
    for key in EPSILON_KEYS {
        found.extend(root.within(key, EPSILONS)?.map(|value| (key, value)));
    }
    let Some(&(key, used)) = found.first() else { return Ok(None) };
    if let Some((other, value)) = found.iter().find(|(_, value)| *value != used) {
        let file = root.file;
        remarks.note(format!("{file}: `{key}` is {used}, but `{other}` is {value}: `{key}` is used"));
    }
    Ok(Some(used))
}

/// Checks that the weights are not quantised by another method. This comes before the keys of that method.
fn check_method(root: &Object<'_>) -> Result<()> {
    let Some(quantization) = root.object("quantization_config")? else { return Ok(()) };
    match quantization.text("quant_method")?.filter(|method| *method != "bitnet") {
        None => Ok(()),
        Some(method) => {
            let reason = "but only bitnet is supported: use the model without this quantisation";
            Err(quantization.bad("quant_method", format!("\"{method}\""), reason))
        }
    }
}

/// Returns how linear weights are stored, according to `quantization_config` and the names of the tensors.
fn weight_format(root: &Object<'_>, architecture: Architecture, clues: Clues) -> Result<WeightFormat> {
    let Some(quantization) = root.object("quantization_config")? else {
        return Ok(match architecture {
            // If there are packed weights with scales but no configuration describes them, the default of the
            // reference class applies: results are divided by the scale.
            _ if clues.packed => WeightFormat::Packed(ScaleRule::Divide),
            // The 1bitLLM class ternarises its weights whenever it runs.
            Architecture::OneBitLlm => WeightFormat::Masters,
            _ if clues.ternary => WeightFormat::TernaryFloats,
            Architecture::BitNet => WeightFormat::Masters,
            _ if clues.as_bitnet => WeightFormat::Masters,
            _ => WeightFormat::Floats,
        });
    };
    if quantization.flag("use_rms_norm")? == Some(true) {
        let reason = "but norms inside linear layers are not supported";
        return Err(quantization.bad("use_rms_norm", Value::from(true), reason));
    }
    // This is the first upload of 2B-4T, whose results are multiplied by the scale.
    if quantization.flag("offline_quantization")? == Some(true) && quantization.get("linear_class").is_none()
    {
        return Ok(WeightFormat::Packed(ScaleRule::Multiply));
    }
    let class = quantization.text("linear_class")?.unwrap_or("bitlinear");
    let mode = quantization.text("quantization_mode")?.unwrap_or("offline");
    match (class, mode) {
        ("autobitlinear", "online") => Ok(WeightFormat::Masters),
        ("autobitlinear", "offline") => Ok(WeightFormat::Packed(ScaleRule::Multiply)),
        // This class does not have master weights, so the mode does not matter.
        ("bitlinear", "offline" | "online") => Ok(WeightFormat::Packed(ScaleRule::Divide)),
        ("autobitlinear" | "bitlinear", other) => {
            Err(quantization.bad("quantization_mode", Value::from(other), "but must be offline or online"))
        }
        (other, _) => Err(quantization.bad(
            "linear_class",
            Value::from(other),
            "but must be autobitlinear or bitlinear",
        )),
    }
}

/// The characters of regular expressions that names of modules do not have.
const PATTERN_CHARACTERS: [char; 12] = ['*', '+', '?', '[', ']', '(', ')', '{', '}', '|', '^', '$'];

/// Returns the names of the layers that `quantization_config` excludes from quantisation.
fn full_precision_layers(root: &Object<'_>, remarks: &mut Remarks) -> Result<Vec<String>> {
    let key = "modules_to_not_convert";
    let Some(quantization) = root.object("quantization_config")? else { return Ok(Vec::new()) };
    let Some(value) = quantization.get(key) else { return Ok(Vec::new()) };
    let names = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let names = names.ok_or_else(|| quantization.bad(key, value, "but must be a list of module names"))?;
    if let Some(pattern) = names.iter().find(|name| name.contains(PATTERN_CHARACTERS)) {
        let reason = "but only plain names of modules are supported: list the names that the pattern matches";
        return Err(quantization.bad(key, format!("\"{pattern}\""), reason));
    }
    if !names.contains(&"lm_head") {
        remarks.note(format!(
            "{}: `quantization_config.{key}` does not list lm_head: bitkv keeps the LM head in full precision",
            root.file
        ));
    }
    Ok(names.into_iter().filter(|name| *name != "lm_head").map(str::to_owned).collect())
}

/// Returns which linear layers have a bias.
fn biases(root: &Object<'_>, architecture: Architecture) -> Result<Biases> {
    let [attention, mlp] =
        [root.flag("attention_bias")?, root.flag("mlp_bias")?].map(|flag| flag == Some(true));
    Ok(match architecture {
        // The class always has these biases, and no others.
        Architecture::Qwen2 => Biases { qkv: true, output: false, mlp: false },
        // Only the MLP of this class has biases.
        Architecture::Llama => Biases { qkv: attention, output: attention, mlp },
        _ => Biases { qkv: attention, output: attention, mlp: false },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Activation;

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
        assert_eq!(
            (c.hidden_act, c.rope_theta, c.max_position_embeddings),
            (Activation::Relu2, 500_000.0, 4096)
        );
    }

    #[test]
    fn reads_large_although_its_model_type_is_llama() {
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
        assert_eq!(
            (c[0].max_position_embeddings, c[1].rms_norm_eps, c[2].rope_theta),
            (2048, 1e-5, 500_000.0)
        );
        assert_eq!((c[3].tie_word_embeddings, c[4].num_key_value_heads), (false, 5));
        assert_eq!(without(LARGE, "rms_norm_eps").unwrap().rms_norm_eps, 1e-6);
    }

    #[test]
    fn both_spellings_of_rope_settings_are_read() {
        let nested = serde_json::json!({"rope_theta": 123.0, "rope_type": "default"});
        assert_eq!(changed(TWO_B, "rope_parameters", nested).unwrap().rope_theta, 123.0);
        let scaled = serde_json::json!({"rope_theta": 123.0, "rope_type": "yarn"});
        let error = changed(TWO_B, "rope_parameters", scaled).unwrap_err().to_string();
        assert!(error.contains("rope_parameters.rope_type") && error.contains("yarn"), "{error}");
    }

    #[test]
    fn class_and_mode_decide_the_weight_format() {
        let weights = |q: Value| changed(TWO_B, "quantization_config", q).map(|c| c.weights);
        let json =
            |class: &str, mode: &str| serde_json::json!({"linear_class": class, "quantization_mode": mode});
        assert_eq!(weights(json("autobitlinear", "online")).unwrap(), WeightFormat::Masters);
        assert_eq!(weights(json("bitlinear", "offline")).unwrap(), WeightFormat::Packed(ScaleRule::Divide));
        assert_eq!(weights(serde_json::json!({})).unwrap(), WeightFormat::Packed(ScaleRule::Divide));
        let first_upload = serde_json::json!({"quant_method": "bitnet", "offline_quantization": true});
        assert_eq!(weights(first_upload).unwrap(), WeightFormat::Packed(ScaleRule::Multiply));
        assert!(weights(json("ternary", "offline")).unwrap_err().to_string().contains("linear_class"));
        assert!(
            weights(json("autobitlinear", "later")).unwrap_err().to_string().contains("quantization_mode")
        );
        assert!(
            weights(serde_json::json!({"quant_method": "gptq"})).unwrap_err().to_string().contains("gptq")
        );
    }

    #[test]
    fn needed_keys_are_named_when_missing() {
        for key in
            ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size"]
        {
            let error = without(LARGE, key).unwrap_err().to_string();
            assert!(error.contains("config.json") && error.contains(key), "{error}");
        }
    }

    #[test]
    fn invalid_values_are_refused_by_key() {
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
            ("partial_rotary_factor", Value::from(0.5)),
            ("use_sliding_window", Value::from(true)),
            ("rope_scaling", serde_json::json!({"type": "yarn", "factor": 2.0})),
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
        assert_eq!(
            (c.architecture, c.weights),
            (Architecture::Llama, WeightFormat::Packed(ScaleRule::Divide))
        );
        assert_eq!((c.head_dim, c.query_width(), c.rope_theta), (256, 3072, 1_000_042.0));
        assert_eq!((c.tie_word_embeddings, c.hidden_act), (false, Activation::Silu));
        assert!(c.norms(3).attention_sub.is_none() && c.norms(3).into_iter().count() == 2);
    }

    #[test]
    fn a_llama_without_a_sign_of_ternary_weights_is_in_full_precision() {
        let plain = without(FALCON, "quantization_config").unwrap();
        assert_eq!((plain.architecture, plain.weights), (Architecture::Llama, WeightFormat::Floats));
        let masters = Clues { as_bitnet: true, ..Clues::default() };
        let mut config: Value = serde_json::from_str(FALCON).unwrap();
        config.as_object_mut().unwrap().remove("quantization_config");
        let (masters, _) = Config::from_json_with(&config.to_string(), "config.json", masters).unwrap();
        assert_eq!(masters.weights, WeightFormat::Masters);
        let mut json: Value = serde_json::from_str(FALCON).unwrap();
        json.as_object_mut().unwrap().remove("quantization_config");
        let read_with_clues = |packed, inner_norms| {
            let clues = Clues { packed, inner_norms, ..Clues::default() };
            Config::from_json_with(&json.to_string(), "config.json", clues).unwrap().0
        };
        let packed = read_with_clues(true, false);
        assert_eq!(packed.weights, WeightFormat::Packed(ScaleRule::Divide));
        assert_eq!(packed.architecture, Architecture::Llama);
        assert_eq!(read_with_clues(false, true).architecture, Architecture::OneBitLlm);
    }

    const QWEN3: &str = r#"{"architectures":["Qwen3ForCausalLM"],"model_type":"qwen3","vocab_size":151936,"hidden_size":1024,
    "intermediate_size":3072,"num_hidden_layers":28,"num_attention_heads":16,"num_key_value_heads":8,"hidden_act":"silu",
    "max_position_embeddings":40960,"rms_norm_eps":1e-06,"rope_theta":1000000,"tie_word_embeddings":true,"attention_bias":false,
    "sliding_window":4096,"max_window_layers":28,"use_sliding_window":false,"bos_token_id":151643,"eos_token_id":151645}"#;

    const LLAMA3: &str = r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":128256,"hidden_size":2048,
    "intermediate_size":8192,"num_hidden_layers":16,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":64,
    "hidden_act":"silu","max_position_embeddings":131072,"rms_norm_eps":1e-05,"rope_theta":500000.0,"attention_bias":true,
    "rope_scaling":{"factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":8192,
    "rope_type":"llama3"},"tie_word_embeddings":true,"bos_token_id":128000,"eos_token_id":[128001,128008,128009]}"#;

    #[test]
    fn reads_llama_and_qwen_in_full_precision() {
        let qwen = parse(QWEN3).unwrap();
        assert_eq!(
            (qwen.weights, qwen.head_dim, qwen.biases),
            (WeightFormat::Floats, 128, Biases::default())
        );
        assert_eq!(qwen.norms(3).into_iter().count(), 4);
        let llama = parse(LLAMA3).unwrap();
        assert!(llama.biases == Biases { qkv: true, output: true, mlp: false }, "{:?}", llama.biases);
        assert_eq!(llama.rope_scaling.name(), "llama3");
        let qwen2 = changed(QWEN3, "architectures", serde_json::json!(["Qwen2ForCausalLM"])).unwrap();
        assert_eq!((qwen2.head_dim, qwen2.biases.qkv), (64, true));
        assert_eq!(qwen2.norms(3).into_iter().count(), 2);
        let windowed = changed(QWEN3, "use_sliding_window", Value::from(true)).unwrap_err().to_string();
        assert!(windowed.contains("sliding_window"), "{windowed}");
    }

    #[test]
    fn a_null_key_differs_from_a_missing_key() {
        let heads = changed(TWO_B, "num_key_value_heads", Value::Null).unwrap();
        assert_eq!(heads.num_key_value_heads, heads.num_attention_heads);
        assert_eq!(parse(FALCON).unwrap().bos_token_id, None);
        assert_eq!(without(FALCON, "bos_token_id").unwrap().bos_token_id, Some(1));
        assert_eq!(changed(TWO_B, "eos_token_id", Value::Null).unwrap().eos_token_ids, [0u32; 0]);
    }

    #[test]
    fn layers_in_full_precision_are_listed() {
        let listed = |names: Value| {
            changed(
                FALCON,
                "quantization_config",
                serde_json::json!({"quant_method": "bitnet", "modules_to_not_convert": names}),
            )
        };
        assert!(listed(Value::Null).is_ok() && listed(serde_json::json!([])).is_ok());
        let config = listed(serde_json::json!(["lm_head", "model.layers.0.mlp", "q_proj"])).unwrap();
        let linears: Vec<_> = config.all_linears().filter(|l| config.is_full_precision(&l.name)).collect();
        // The MLP of the first layer and every q_proj.
        assert_eq!(linears.len(), 3 + 22);
        assert!(listed(Value::from("lm_head")).is_err());
    }

    #[test]
    fn written_configs_read_back() {
        for text in [TWO_B, LARGE, FALCON, QWEN3, LLAMA3] {
            let config = parse(text).unwrap();
            assert_eq!(parse(&config.to_json()).unwrap(), config);
        }
    }
}
