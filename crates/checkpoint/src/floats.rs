//! The float types that a checkpoint is written in.

use std::io::{self, Write};

use half::{bf16, f16};
use safetensors::Dtype;

/// A float type for stored values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FloatType {
    /// IEEE single precision, which is exact.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16, the type of the published checkpoints.
    Bf16,
}

impl FloatType {
    /// Returns the safetensors type.
    pub(crate) fn dtype(self) -> Dtype {
        match self {
            FloatType::F32 => Dtype::F32,
            FloatType::F16 => Dtype::F16,
            FloatType::Bf16 => Dtype::BF16,
        }
    }

    /// Returns whether this type represents `value` exactly.
    pub fn holds(self, value: f32) -> bool {
        match self {
            FloatType::F32 => true,
            FloatType::F16 => f16::from_f32(value).to_f32() == value,
            FloatType::Bf16 => bf16::from_f32(value).to_f32() == value,
        }
    }

    /// Writes the values in this type, little-endian.
    pub(crate) fn write(self, values: &[f32], to: &mut dyn Write) -> io::Result<()> {
        let bytes: Vec<u8> = match self {
            FloatType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            FloatType::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
            FloatType::Bf16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
        };
        to.write_all(&bytes)
    }
}
