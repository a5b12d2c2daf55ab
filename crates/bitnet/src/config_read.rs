//! Reading and checking a `config.json`.

use std::path::Path;

use serde_json::Value;

use crate::{Activation, Architecture, Config, Error, Result, ScaleRule, WeightFormat, json::Object};

/// Sizes above these are taken for a damaged file rather than for a model.
const MAX_WIDTH: u64 = 1 << 20;
const MAX_LAYERS: u64 = 1 << 12;
const MAX_POSITIONS: u64 = 1 << 26;
const MAX_VOCABULARY: u64 = 1 << 24;

impl Config {
    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    /// When the file cannot be read or [`Config::from_json`] refuses it.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let text =
            std::fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        Config::from_json(&text, &path.display().to_string())
    }

    /// Reads the text of a `config.json`; `file` is what errors call it. Keys that are missing take the
    /// defaults of the reference class.
    ///
    /// # Errors
    /// When a needed key is missing, a value is of the wrong type, zero, absurd or unsupported, or
    /// sizes do not divide.
    pub fn from_json(text: &str, file: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)
            .map_err(|e| Error::Json { file: file.into(), reason: e.to_string() })?;
        let root = Object::root(file, &value)?;
        let architecture = architecture(&root)?;
        let bitnet = architecture == Architecture::BitNet;
        refuse_unsupported(&root)?;

        let hidden_size = root.needed_size("hidden_size", MAX_WIDTH)?;
        let num_attention_heads = root.needed_size("num_attention_heads", MAX_WIDTH)?;
        let vocab_size = root.needed_size("vocab_size", MAX_VOCABULARY)?;
        let default_ids = if bitnet { [128_000, 128_001] } else { [1, 2] };
        // A default beyond a small vocabulary means that the model has no such token.
        let defaults = |id: u32| if (id as usize) < vocab_size { vec![id] } else { vec![] };
        let config = Config {
            architecture,
            vocab_size,
            hidden_size,
            intermediate_size: root.needed_size("intermediate_size", MAX_WIDTH)?,
            num_hidden_layers: root.needed_size("num_hidden_layers", MAX_LAYERS)?,
            num_attention_heads,
            num_key_value_heads: root.size("num_key_value_heads", MAX_WIDTH)?.unwrap_or(if bitnet {
                5
            } else {
                num_attention_heads
            }),
            head_dim: match root.size("head_dim", MAX_WIDTH)? {
                Some(head_dim) => head_dim,
                None => {
                    divide(&root, "hidden_size", hidden_size, "num_attention_heads", num_attention_heads)?
                }
            },
            hidden_act: activation(&root)?.unwrap_or(if bitnet {
                Activation::Relu2
            } else {
                Activation::Silu
            }),
            max_position_embeddings: root.size("max_position_embeddings", MAX_POSITIONS)?.unwrap_or(2048),
            rms_norm_eps: root.positive("rms_norm_eps")?.unwrap_or(if bitnet { 1e-5 } else { 1e-6 }),
            rope_theta: rope_theta(&root)?.unwrap_or(if bitnet { 500_000.0 } else { 10_000.0 }),
            tie_word_embeddings: root.flag("tie_word_embeddings")?.unwrap_or(false),
            bos_token_id: root
                .token_ids("bos_token_id")?
                .unwrap_or_else(|| defaults(default_ids[0]))
                .first()
                .copied(),
            eos_token_ids: root.token_ids("eos_token_id")?.unwrap_or_else(|| defaults(default_ids[1])),
            weights: weight_format(&root)?,
        };
        config.check(&root)?;
        Ok(config)
    }

    fn check(&self, root: &Object<'_>) -> Result<()> {
        divide(
            root,
            "num_attention_heads",
            self.num_attention_heads,
            "num_key_value_heads",
            self.num_key_value_heads,
        )?;
        divide(root, "head_dim", self.head_dim, "2 (rotary halves)", 2)?;
        for (key, id) in self
            .bos_token_id
            .iter()
            .map(|id| ("bos_token_id", id))
            .chain(self.eos_token_ids.iter().map(|id| ("eos_token_id", id)))
        {
            if *id as usize >= self.vocab_size {
                return Err(value_error(
                    root,
                    key,
                    id,
                    format!("outside the vocabulary of {}", self.vocab_size),
                ));
            }
        }
        Ok(())
    }
}

fn value_error(root: &Object<'_>, key: &str, value: impl ToString, reason: String) -> Error {
    Error::ConfigValue { file: root.file.into(), key: key.into(), value: value.to_string(), reason }
}

fn divide(root: &Object<'_>, key: &str, size: usize, by_key: &str, by: usize) -> Result<usize> {
    if size.is_multiple_of(by) {
        return Ok(size / by);
    }
    let by = if by_key.starts_with('2') { by_key.into() } else { format!("`{by_key}` {by}") };
    Err(value_error(root, key, size, format!("which is not a multiple of {by}")))
}

/// The class decides, not `model_type`: the 1bitLLM files call themselves llama.
fn architecture(root: &Object<'_>) -> Result<Architecture> {
    let names = root
        .get("architectures")
        .ok_or_else(|| Error::MissingKey { file: root.file.into(), key: "architectures" })?;
    let has = |a: Architecture| names.as_array().is_some_and(|list| list.iter().any(|n| n == a.name()));
    [Architecture::BitNet, Architecture::OneBitLlm].into_iter().find(|a| has(*a)).ok_or_else(|| {
        root.bad("architectures", names, "but only BitNetForCausalLM and BitnetForCausalLM are supported")
    })
}

fn activation(root: &Object<'_>) -> Result<Option<Activation>> {
    let Some(name) = root.text("hidden_act")? else { return Ok(None) };
    [Activation::Relu2, Activation::Silu]
        .into_iter()
        .find(|a| a.name() == name)
        .map(Some)
        .ok_or_else(|| value_error(root, "hidden_act", name, "but only relu2 and silu are supported".into()))
}

/// `rope_theta`, or `rope_parameters.rope_theta` as transformers 5 writes it.
fn rope_theta(root: &Object<'_>) -> Result<Option<f64>> {
    let Some(parameters) = root.object("rope_parameters")? else { return root.positive("rope_theta") };
    if let Some(kind) = parameters.text("rope_type")?.filter(|kind| *kind != "default") {
        return Err(parameters.bad(
            "rope_type",
            &Value::from(kind),
            "but only the default RoPE is supported",
        ));
    }
    Ok(parameters.positive("rope_theta")?.or(root.positive("rope_theta")?))
}

fn weight_format(root: &Object<'_>) -> Result<WeightFormat> {
    let Some(quantization) = root.object("quantization_config")? else { return Ok(WeightFormat::Masters) };
    if let Some(method) = quantization.text("quant_method")?.filter(|m| *m != "bitnet") {
        return Err(quantization.bad("quant_method", &Value::from(method), "but only bitnet is supported"));
    }
    if quantization.flag("use_rms_norm")? == Some(true) {
        let reason = "but norms inside linear layers are not supported";
        return Err(quantization.bad("use_rms_norm", &Value::from(true), reason));
    }
    // The first upload of 2B-4T, which multiplies.
    if quantization.flag("offline_quantization")? == Some(true) && quantization.get("linear_class").is_none()
    {
        return Ok(WeightFormat::Packed(ScaleRule::Multiply));
    }
    let class = quantization.text("linear_class")?.unwrap_or("bitlinear");
    let mode = quantization.text("quantization_mode")?.unwrap_or("offline");
    match (class, mode) {
        ("autobitlinear", "online") => Ok(WeightFormat::Masters),
        ("autobitlinear", "offline") => Ok(WeightFormat::Packed(ScaleRule::Multiply)),
        // This class knows no masters: the mode does not matter.
        ("bitlinear", "offline" | "online") => Ok(WeightFormat::Packed(ScaleRule::Divide)),
        ("autobitlinear" | "bitlinear", other) => {
            Err(quantization.bad("quantization_mode", &Value::from(other), "but must be offline or online"))
        }
        (other, _) => Err(quantization.bad(
            "linear_class",
            &Value::from(other),
            "but must be autobitlinear or bitlinear",
        )),
    }
}

fn refuse_unsupported(root: &Object<'_>) -> Result<()> {
    if root.flag("attention_bias")? == Some(true) {
        return Err(root.bad("attention_bias", &Value::from(true), "but attention biases are not supported"));
    }
    if let Some(scaling) = root.get("rope_scaling") {
        let kind = scaling.get("rope_type").or(scaling.get("type"));
        if kind.is_none_or(|k| k != "default") {
            return Err(root.bad("rope_scaling", scaling, "but only unscaled RoPE is supported"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "config_read_tests.rs"]
mod tests;
