//! Reads the linear layers of a GGUF file.

use crate::{
    Coding, Linear, LinearShape, LinearWeights, Result, StoredTensor, TernaryScale, WeightFormat, codec,
    config_read::MAX_WIDTH,
};

use super::{config, file::Gguf, names, types};

/// The number of values that are compared at once.
const PART: usize = 1 << 16;

/// The scale of a matrix of zeros if the file says that it is 0. [`TernaryScale`] gives a matrix of zeros the
/// same scale.
const DEAD: f32 = 1e-5;

const HEADS: &str = "llama.attention.head_count";
const KV_HEADS: &str = "llama.attention.head_count_kv";

impl Gguf {
    /// Returns the linear layer of this shape whose weights are in `stored`.
    pub(crate) fn linear(
        &self,
        shape: &LinearShape,
        stored: StoredTensor,
        format: WeightFormat,
    ) -> Result<Linear> {
        let expected = [shape.rows, shape.cols];
        if stored.shape != expected {
            return Err(self.bad(format!(
                "tensor `{}` has shape {:?}, but its metadata requires {expected:?}: convert it again",
                stored.name, stored.shape
            )));
        }
        let bitnet = self.float_weights_are_masters()?;
        let mut linear = match scale(&stored, bitnet) {
            Scale::Shared(multiplier) => Linear {
                shape: shape.clone(),
                multiplier,
                stored,
                weights: LinearWeights::Codes,
                interleaved_heads: None,
            },
            Scale::Refused(reason) => return Err(self.bad(format!("tensor `{}` {reason}", stored.name))),
            Scale::Floats if bitnet => from_masters(shape, stored)?,
            Scale::Floats if format == WeightFormat::Floats => Linear::from_floats(shape, stored)?,
            Scale::Floats => from_floats(shape, stored)?,
        };
        linear.multiplier *= self.extra_scale(shape)?;
        linear.interleaved_heads = self.interleaved_heads(shape)?;
        let value = linear.multiplier;
        if value == 0.0 && linear.is_ternary() && linear.histogram()[1] == (shape.rows * shape.cols) as u64 {
            linear.multiplier = DEAD;
        } else if value <= 0.0 || !value.is_finite() {
            let name = &linear.stored.name;
            return Err(self.bad(format!(
                "tensor `{name}` has the scale {value}, but it must be positive, so it is damaged: download it again"
            )));
        }
        Ok(linear)
    }

    /// Returns whether float weights are the masters of a BitNet. In files of the families that are not
    /// BitNets, they are in full precision unless the caller says otherwise.
    fn float_weights_are_masters(&self) -> Result<bool> {
        Ok(self.as_bitnet || config::architecture(&self.keys())?.is_bitnet())
    }

    /// Returns the value of the separate scale tensor of a layer, by which results are multiplied; 1 if there
    /// is no such tensor.
    fn extra_scale(&self, shape: &LinearShape) -> Result<f32> {
        let name = names::to_gguf(&format!("{}.weight", shape.name)).unwrap_or_default();
        let name = name.replace(".weight", ".scale");
        let Some(info) = self.tensor_info(&name) else { return Ok(1.0) };
        let stored = self.stored(info);
        if !stored.coding.is_float() || stored.len() != 1 {
            let (kind, shape) = (stored.coding.name(), &stored.shape);
            return Err(self.bad(format!("tensor `{name}` is {kind} {shape:?}, but a scale is one float")));
        }
        Ok(stored.f32s(&stored.shape)?[0])
    }

    /// Returns the number of heads if the rows of this layer are interleaved. In the llama architecture,
    /// llama.cpp stores rotary dimensions as neighbours that are half a head apart in the model.
    pub(crate) fn interleaved_heads(&self, shape: &LinearShape) -> Result<Option<usize>> {
        if self.architecture() != "llama" {
            return Ok(None);
        }
        let heads = self.keys().size(HEADS, MAX_WIDTH)?;
        match &shape.name {
            name if name.ends_with(".q_proj") => Ok(heads),
            name if name.ends_with(".k_proj") => Ok(self.keys().size(KV_HEADS, MAX_WIDTH)?.or(heads)),
            _ => Ok(None),
        }
    }
}

/// The scale of a tensor.
enum Scale {
    /// One scale for all codes.
    Shared(f32),
    /// The tensor holds floats, or blocks of small integers, instead of codes.
    Floats,
    /// The tensor cannot be a linear layer; the text is the reason.
    Refused(String),
}

/// Returns the scale of a matrix. Blocks of small integers cannot be the weights of a BitNet.
fn scale(stored: &StoredTensor, bitnet: bool) -> Scale {
    let (rows, cols, kind) = (stored.shape[0], stored.shape[1], stored.coding.name());
    match stored.coding {
        Coding::Ternary(codec) if codec.fits(rows, cols) => {
            let differs =
                format!("has {kind} blocks of different scales, but a BitNet's weight has one scale");
            (codec.scale)(&stored.bytes, rows * cols).map_or(Scale::Refused(differs), Scale::Shared)
        }
        Coding::Ternary(codec) => {
            let layout =
                codec.layout.map_or(String::new(), |layout| format!(" in the {} layout", layout.name()));
            Scale::Refused(format!(
                "is {kind} of shape [{rows}, {cols}], whose blocks{layout} would cross rows: use a file of another type"
            ))
        }
        Coding::F32 | Coding::F16 | Coding::Bf16 => Scale::Floats,
        Coding::Quant(_) if !bitnet => Scale::Floats,
        _ if !bitnet => Scale::Refused(format!(
            "has type {}, but a linear layer must be {}, floats, or one of {}: use a file of another type",
            types::description(&stored.coding),
            codec::names(),
            codec::quants::names()
        )),
        _ => Scale::Refused(format!(
            "has type {}, but a linear layer must be {} or floats: use a file of one of these types, or convert \
             the model again from its source",
            types::description(&stored.coding),
            codec::names()
        )),
    }
}

/// Returns a linear layer of a BitNet that is stored as floats. Floats that are ternary already keep their
/// values; others are master weights.
fn from_masters(shape: &LinearShape, stored: StoredTensor) -> Result<Linear> {
    match ternary_value(&stored) {
        Some(value) => from_ternary(shape, stored, value),
        None => Linear::from_masters(shape, stored),
    }
}

/// Returns a linear layer that is stored as floats. Floats that are ternary already make a ternary layer;
/// others are used as they are.
pub(crate) fn from_floats(shape: &LinearShape, stored: StoredTensor) -> Result<Linear> {
    match ternary_value(&stored) {
        Some(value) => from_ternary(shape, stored, value),
        None => Linear::from_floats(shape, stored),
    }
}

/// Returns a ternary layer whose floats are 0 or of the magnitude `value`.
fn from_ternary(shape: &LinearShape, stored: StoredTensor, value: f32) -> Result<Linear> {
    let linear = Linear::from_masters(shape, stored)?;
    let weights = LinearWeights::Masters(TernaryScale { inverse: 1.0 / value, multiplier: value });
    Ok(Linear { multiplier: value, weights, ..linear })
}

/// Returns the magnitude that all nonzero floats share; `None` if they differ, or all are zero.
pub(crate) fn ternary_value(stored: &StoredTensor) -> Option<f32> {
    if !stored.coding.is_float() {
        return None;
    }
    let (mut value, mut part) = (0.0f32, vec![0.0; PART.min(stored.len())]);
    for first in (0..stored.len()).step_by(PART) {
        let part = &mut part[..PART.min(stored.len() - first)];
        stored.read_f32(first, part);
        if value == 0.0 {
            value = part.iter().map(|w| w.abs()).find(|w| *w != 0.0).unwrap_or(0.0);
        }
        if !part.iter().all(|w| *w == 0.0 || w.abs() == value) {
            return None;
        }
    }
    // A subnormal number does not have a finite reciprocal.
    (value.is_normal() && (1.0 / value).is_normal()).then_some(value)
}
