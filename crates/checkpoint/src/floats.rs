//! Floats on their way into a file.

use std::io::{self, Write};

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::Dtype;

use crate::Stored;

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

/// Values handled at once.
const PART: usize = 1 << 16;

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

    /// The smallest type that holds every value: bfloat16, else half, else single.
    pub fn smallest_exact(stored: &Stored) -> FloatType {
        let firsts: Vec<usize> = (0..stored.len()).step_by(PART).collect();
        let all = |kind: FloatType| {
            firsts.par_iter().all(|&first| {
                let mut values = vec![0.0; PART.min(stored.len() - first)];
                stored.read_f32(first, &mut values);
                stored.release_values(first, values.len());
                values.iter().all(|value| kind.holds(*value))
            })
        };
        [FloatType::Bf16, FloatType::F16].into_iter().find(|kind| all(*kind)).unwrap_or(FloatType::F32)
    }

    pub(crate) fn write(self, values: &[f32], to: &mut dyn Write) -> io::Result<()> {
        let bytes: Vec<u8> = match self {
            FloatType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            FloatType::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
            FloatType::Bf16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
        };
        to.write_all(&bytes)
    }

    /// Writes all values of a tensor, a part at a time.
    pub(crate) fn write_all(self, stored: &Stored, to: &mut dyn Write) -> io::Result<()> {
        let mut values = vec![0.0; PART.min(stored.len())];
        for first in (0..stored.len()).step_by(PART) {
            let values = &mut values[..PART.min(stored.len() - first)];
            stored.read_f32(first, values);
            self.write(values, to)?;
            stored.release_values(first, values.len());
        }
        Ok(())
    }
}
