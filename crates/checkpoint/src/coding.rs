//! How the values of a tensor are stored in a file.

use safetensors::Dtype;

use crate::codec::{Codec, QuantCodec};

/// A coding of tensor values in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Coding {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    Bf16,
    /// Ternary codes as transformers packs them: a byte holds the codes of four rows, two bits each, and the
    /// scale is a separate tensor.
    PackedU8,
    /// A ternary coding of GGUF files.
    Ternary(&'static Codec),
    /// Blocks of small integers with scales, as embeddings in GGUF files have them.
    Quant(&'static QuantCodec),
    /// Any other coding, by its name in the file's format. Its tensors are listed, but cannot be read.
    Other(String),
}

impl Coding {
    /// Returns the coding of a safetensors type.
    pub fn from_dtype(dtype: Dtype) -> Coding {
        match dtype {
            Dtype::F32 => Coding::F32,
            Dtype::F16 => Coding::F16,
            Dtype::BF16 => Coding::Bf16,
            Dtype::U8 => Coding::PackedU8,
            other => Coding::Other(format!("{other:?}")),
        }
    }

    /// Returns the name in tables and errors.
    pub fn name(&self) -> &str {
        match self {
            Coding::F32 => "F32",
            Coding::F16 => "F16",
            Coding::Bf16 => "BF16",
            Coding::PackedU8 => "U8",
            Coding::Ternary(codec) => codec.name,
            Coding::Quant(codec) => codec.name,
            Coding::Other(name) => name,
        }
    }

    /// Returns whether the values are ternary codes.
    pub fn is_ternary(&self) -> bool {
        matches!(self, Coding::PackedU8 | Coding::Ternary(_))
    }

    /// Returns whether the values are stored in blocks of small integers with scales.
    pub fn is_blocks(&self) -> bool {
        matches!(self, Coding::Quant(_))
    }

    /// Returns whether the values are plain floats, one after another.
    pub fn is_float(&self) -> bool {
        matches!(self, Coding::F32 | Coding::F16 | Coding::Bf16)
    }
}
