//! Reads the RoPE settings in the metadata of a GGUF file.
//!
//! Reference: llama.cpp `llama_model::load_hparams` and `llama_context`.

use crate::{
    Result,
    remarks::Remarks,
    rope::{BASES, Rope, UNSCALED},
};

use super::{file::Gguf, value::Value};

/// The base of a file that has none.
const DEFAULT_BASE: f64 = 10_000.0;
/// The factors of scaled forms of RoPE, without the name of the architecture. llama.cpp reads 0 as 1.
const FACTORS: [&str; 2] = ["rope.scaling.factor", "rope.scale_linear"];
/// The factors of attention in scaled forms of RoPE, which llama.cpp applies to unscaled RoPE too.
const ATTENTION_FACTORS: [&str; 2] = ["rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"];
/// The settings that only scaled forms of RoPE use.
const OF_SCALED_FORMS: [&str; 5] = [
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_log_multiplier",
];

/// Reads the RoPE settings.
///
/// # Errors
/// Returns an error if a setting scales RoPE.
pub(super) fn read(gguf: &Gguf, remarks: &mut Remarks) -> Result<Rope> {
    let (keys, prefix) = (gguf.keys(), gguf.architecture());
    let full = |key: &str| format!("{prefix}.{key}");
    let key = full("rope.scaling.type");
    if let Some(kind) = keys.text(&key)?.filter(|kind| !["none", "linear"].contains(kind)) {
        return Err(keys.bad(&key, format!("\"{kind}\""), UNSCALED));
    }
    let plain_factors = FACTORS.map(|key| (key, &[0.0, 1.0][..]));
    let plain_attention = ATTENTION_FACTORS.map(|key| (key, &[1.0][..]));
    let extrapolation = [("rope.scaling.yarn_ext_factor", &[0.0, -1.0][..])];
    for (key, plain) in plain_factors.into_iter().chain(plain_attention).chain(extrapolation) {
        let key = full(key);
        let Some(value) = keys.get(&key) else { continue };
        if !value.as_number().is_some_and(|number| plain.contains(&number)) {
            return Err(keys.bad(&key, value, UNSCALED));
        }
    }
    for key in OF_SCALED_FORMS.map(full) {
        if let Some(value) = keys.get(&key) {
            remarks.ignore(key, value);
        }
    }
    check_frequencies(gguf)?;
    Ok(Rope { theta: keys.within(&full("rope.freq_base"), BASES)?.unwrap_or(DEFAULT_BASE) })
}

/// Checks that the factors of the frequencies are 1 if the file has them.
fn check_frequencies(gguf: &Gguf) -> Result<()> {
    let Some(info) = gguf.tensor_info("rope_freqs.weight") else { return Ok(()) };
    let stored = gguf.stored(info);
    if stored.coding.is_float() && stored.f32s(&stored.shape)?.iter().all(|factor| *factor == 1.0) {
        return Ok(());
    }
    Err(gguf.bad("it has the tensor `rope_freqs.weight`, but only unscaled RoPE is supported".into()))
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
