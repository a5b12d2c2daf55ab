//! A checkpoint: configuration and tensors, from a folder or from memory.

use std::path::Path;

use bitkv_kernels::ternary::Ternary;
use candle_core::Tensor;
use safetensors::Dtype;

use crate::{
    Config, Error, LinearShape, NormShape, Result, ScaleRule, Ternarised, WeightFormat, tensors::TensorFile,
};

/// Configuration and tensors of a model. Nothing is converted until a [`Model`](crate::Model) asks.
pub struct Checkpoint {
    config: Config,
    tensors: TensorFile,
}

impl Checkpoint {
    /// Opens `config.json` and `model.safetensors` (memory-mapped) in `folder`.
    ///
    /// # Errors
    /// When a file is missing, truncated or refused.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let config = Config::from_folder(folder)?;
        Ok(Checkpoint { config, tensors: TensorFile::open(&folder.join("model.safetensors"))? })
    }

    /// The same from memory.
    ///
    /// # Errors
    /// When either is refused.
    pub fn from_bytes(config_json: &str, safetensors: Vec<u8>) -> Result<Self> {
        let config = Config::from_json(config_json, "config.json")?;
        Ok(Checkpoint { config, tensors: TensorFile::from_bytes(safetensors)? })
    }

    /// The model's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Names of all tensors, in file order.
    pub fn tensor_names(&self) -> Vec<String> {
        self.tensors.names()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.has(name)
    }

    /// A float tensor in the type it is stored in.
    pub(crate) fn stored(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.tensors.floats(name, shape)
    }

    pub(crate) fn norm(&self, shape: &NormShape) -> Result<Vec<f32>> {
        self.tensors.f32s(&shape.name, &[shape.width])
    }

    /// A linear layer's ternary weights and the factor of its results.
    ///
    /// # Errors
    /// When a tensor is missing, of another shape or type, or holds values no BitNet has.
    pub fn ternary(&self, shape: &LinearShape) -> Result<(Ternary, f32)> {
        match self.config.weights {
            WeightFormat::Packed(rule) => Ok((self.unpack(shape)?, self.scale(shape, rule)?)),
            WeightFormat::Masters => {
                let name = format!("{}.weight", shape.name);
                if self.tensors.raw(&name, "")?.dtype == Dtype::U8 {
                    return Err(self.tensors.type_error(
                        &name,
                        Dtype::U8,
                        "F32, F16 or BF16 masters, because `quantization_config` does not say offline",
                    ));
                }
                let masters = self.tensors.f32s(&name, &[shape.rows, shape.cols])?;
                let scale = Ternarised::of(&masters);
                Ok((scale.pack(shape.rows, shape.cols, &masters), scale.multiplier))
            }
        }
    }

    /// Bits `2i..2i+2` of packed row `r` are the codes of row `r + i * ceil(rows / 4)`
    /// (transformers `integrations/bitnet.py`, `unpack_weights`).
    fn unpack(&self, shape: &LinearShape) -> Result<Ternary> {
        let name = format!("{}.weight", shape.name);
        let raw = self.tensors.raw(&name, "")?;
        if raw.dtype != Dtype::U8 {
            let expected = "U8, because `quantization_config` says offline";
            return Err(self.tensors.type_error(&name, raw.dtype, expected));
        }
        let stride = shape.rows.div_ceil(4);
        self.tensors.check_shape(&name, raw.shape, &[stride, shape.cols])?;
        if let Some(at) = raw.data.iter().position(|byte| byte & (byte >> 1) & 0x55 != 0) {
            let (row, column) = (at / shape.cols, at % shape.cols);
            return Err(Error::InvalidCode { file: self.tensors.file.clone(), tensor: name, row, column });
        }
        Ok(Ternary::pack_with(shape.rows, shape.cols, |row, out| {
            let bytes = &raw.data[row % stride * shape.cols..][..shape.cols];
            let shift = 2 * (row / stride);
            out.iter_mut().zip(bytes).for_each(|(w, byte)| *w = ((byte >> shift) & 3) as i8 - 1);
        }))
    }

    fn scale(&self, shape: &LinearShape, rule: ScaleRule) -> Result<f32> {
        let name = format!("{}.weight_scale", shape.name);
        let raw = self.tensors.raw(&name, ", the scale of a packed weight")?;
        let expected: &[usize] = if raw.shape.is_empty() { &[] } else { &[1] };
        let value = self.tensors.f32s(&name, expected)?[0];
        if value <= 0.0 {
            return Err(Error::BadScale { file: self.tensors.file.clone(), tensor: name, value });
        }
        Ok(if rule == ScaleRule::Multiply { value } else { 1.0 / value })
    }
}
