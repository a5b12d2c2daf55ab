//! Floats on their way into a file.

use std::io::{self, Write};

use half::{bf16, f16};
use safetensors::Dtype;

/// A float type to store in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FloatType {
    /// 32 bits: exact.
    F32,
    /// IEEE half.
    F16,
    /// bfloat16: the type of the published checkpoints.
    Bf16,
}

impl FloatType {
    pub(crate) fn dtype(self) -> Dtype {
        match self {
            FloatType::F32 => Dtype::F32,
            FloatType::F16 => Dtype::F16,
            FloatType::Bf16 => Dtype::BF16,
        }
    }

    /// Whether a value survives.
    pub fn holds(self, value: f32) -> bool {
        match self {
            FloatType::F32 => true,
            FloatType::F16 => f16::from_f32(value).to_f32() == value,
            FloatType::Bf16 => bf16::from_f32(value).to_f32() == value,
        }
    }

    pub(crate) fn write(self, values: &[f32], to: &mut dyn Write) -> io::Result<()> {
        let bytes: Vec<u8> = match self {
            FloatType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            FloatType::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
            FloatType::Bf16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
        };
        to.write_all(&bytes)
    }
}
