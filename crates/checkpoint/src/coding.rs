//! How the values of a tensor are stored.

use safetensors::Dtype;

use crate::codec::Codec;

/// A coding of tensor values in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Coding {
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// bfloat16.
    Bf16,
    /// Four two-bit codes a byte along the rows, as transformers packs them; the scale is a tensor beside it.
    Folded,
    /// A ternary coding of GGUF files.
    Ternary(&'static Codec),
    /// Blocks of 32 int8 with an f16 scale.
    Q8_0,
    /// Blocks of 256 six-bit values with sub-block scales.
    Q6K,
    /// Anything else, by its name in the file's format: listed, but not read.
    Other(String),
}

impl Coding {
    /// The coding of a safetensors type.
    pub fn from_dtype(dtype: Dtype) -> Coding {
        match dtype {
            Dtype::F32 => Coding::F32,
            Dtype::F16 => Coding::F16,
            Dtype::BF16 => Coding::Bf16,
            Dtype::U8 => Coding::Folded,
            other => Coding::Other(format!("{other:?}")),
        }
    }

    /// The name in tables and errors.
    pub fn name(&self) -> &str {
        match self {
            Coding::F32 => "F32",
            Coding::F16 => "F16",
            Coding::Bf16 => "BF16",
            Coding::Folded => "U8",
            Coding::Ternary(codec) => codec.name,
            Coding::Q8_0 => "Q8_0",
            Coding::Q6K => "Q6_K",
            Coding::Other(name) => name,
        }
    }

    /// Whether values are ternary codes.
    pub fn is_ternary(&self) -> bool {
        matches!(self, Coding::Folded | Coding::Ternary(_))
    }

    /// Whether values are blocks of small integers with scales.
    pub fn is_blocks(&self) -> bool {
        matches!(self, Coding::Q8_0 | Coding::Q6K)
    }

    /// Whether values are plain floats, one after another.
    pub fn is_float(&self) -> bool {
        matches!(self, Coding::F32 | Coding::F16 | Coding::Bf16)
    }
}
