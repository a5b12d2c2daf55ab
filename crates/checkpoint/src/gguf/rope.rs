//! Reads the RoPE settings in the metadata of a GGUF file.
//!
//! Reference: llama.cpp `llama_model::load_hparams` and `llama_context`.

use crate::{
    Result,
    remarks::Remarks,
    rope::{self, BASES, KNOWN_FORMS, Rope, RopeScaling},
};

use super::{file::Gguf, value::Value};

/// The base of a file that has none.
const DEFAULT_BASE: f64 = 10_000.0;
/// The factors of scaled forms of RoPE, without the name of the architecture. llama.cpp reads 0 as 1.
const FACTORS: [&str; 2] = ["rope.scaling.factor", "rope.scale_linear"];
/// The factors of attention in scaled forms of RoPE, which llama.cpp applies to unscaled RoPE too.
const ATTENTION_FACTORS: [&str; 2] = ["rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"];
/// The settings that only other forms of RoPE use.
const OF_OTHER_FORMS: [&str; 5] = [
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_log_multiplier",
];

/// The reason for refusing a number that only another form of RoPE has.
const OTHER_FORM: &str = "which only RoPE of another type than linear and llama3 has: use another model";

/// Reads the RoPE settings.
///
/// # Errors
/// Returns an error if RoPE is scaled in another way than `linear` and `llama3`.
pub(super) fn read(gguf: &Gguf, width: usize, remarks: &mut Remarks) -> Result<Rope> {
    let (keys, prefix) = (gguf.keys(), gguf.architecture());
    let full = |key: &str| format!("{prefix}.{key}");
    let key = full("rope.scaling.type");
    // llama.cpp takes a file without the key for one with linear scaling.
    let kind = keys.text(&key)?.unwrap_or("linear");
    if !["none", "linear"].contains(&kind) {
        return Err(keys.bad(&key, format!("\"{kind}\""), KNOWN_FORMS));
    }
    let plain_attention = ATTENTION_FACTORS.map(|key| (key, &[1.0][..]));
    let extrapolation = [("rope.scaling.yarn_ext_factor", &[0.0, -1.0][..])];
    for (key, plain) in plain_attention.into_iter().chain(extrapolation) {
        let key = full(key);
        let Some(value) = keys.get(&key) else { continue };
        if !value.as_number().is_some_and(|number| plain.contains(&number)) {
            return Err(keys.bad(&key, value, OTHER_FORM));
        }
    }
    for key in OF_OTHER_FORMS.map(full) {
        if let Some(value) = keys.get(&key) {
            remarks.ignore(key, value);
        }
    }
    let theta = keys.within(&full("rope.freq_base"), BASES)?.unwrap_or(DEFAULT_BASE);
    let linear = linear_factor(gguf, kind)?;
    let scaling = match (factors_of_frequencies(gguf, width)?, linear) {
        (None, None) => RopeScaling::Unscaled,
        (None, Some(factor)) => RopeScaling::Linear(factor),
        (Some(factors), None) => RopeScaling::Factors(factors.into()),
        (Some(factors), Some(linear)) => {
            RopeScaling::Factors(factors.iter().map(|factor| factor * linear as f32).collect())
        }
    };
    Ok(Rope { theta, scaling })
}

/// Returns the factor of the type `linear`; `None` if the file has no factor, or it is 1.
fn linear_factor(gguf: &Gguf, kind: &str) -> Result<Option<f64>> {
    let (keys, mut found) = (gguf.keys(), None);
    for key in FACTORS.map(|key| format!("{}.{key}", gguf.architecture())) {
        let Some(value) = keys.get(&key) else { continue };
        let number = value.as_number();
        // llama.cpp reads 0 as 1.
        if number == Some(0.0) || number == Some(1.0) {
            continue;
        }
        let Some(factor) = keys.within(&key, rope::FACTORS)? else { continue };
        if kind != "linear" {
            return Err(keys.bad(&key, value, "but `rope.scaling.type` says that RoPE is not scaled"));
        }
        if found.is_some_and(|other| other != factor) {
            return Err(keys.bad(&key, value, "but another key of the file has another factor"));
        }
        found = Some(factor);
    }
    Ok(found)
}

/// Returns the factors of the frequencies, `[width / 2]`; `None` if the file has none, or all are 1.
fn factors_of_frequencies(gguf: &Gguf, width: usize) -> Result<Option<Vec<f32>>> {
    let Some(info) = gguf.tensor_info("rope_freqs.weight") else { return Ok(None) };
    let factors = gguf.stored(info).f32s(&[width / 2])?;
    if let Some(factor) = factors.iter().find(|factor| !rope::FACTORS.contains(&f64::from(**factor))) {
        return Err(gguf.bad(format!(
            "the tensor `rope_freqs.weight` holds {factor}, which is not a factor of rotary frequencies"
        )));
    }
    Ok(factors.iter().any(|factor| *factor != 1.0).then_some(factors))
}

impl Value {
    /// Returns a number as f64; `None` if the value is not a number.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Value::F32(x) => Some(f64::from(*x)),
            Value::F64(x) => Some(*x),
            Value::Integer(n) => Some(*n as f64),
            _ => None,
        }
    }
}
