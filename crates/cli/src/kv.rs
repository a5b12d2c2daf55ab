//! Numeric formats of the KV cache, as arguments.

use bitkv_bitnet::{Precision, Quantisation};
use clap::ValueEnum;

/// A floating-point format of the cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Precise {
    F16,
    F32,
}

/// A format of the cache: floating point, or quantised after the prompt is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kv {
    F16,
    /// 32-bit floating point.
    F32,
    /// 8 bits, with one scale per token.
    Int8,
    /// 4 bits, with one scale per 32 channels of a token.
    Int4,
    /// KIVI at 4 bits: keys by channel, values by token, the newest 128 tokens in f16.
    Kivi4,
    /// KIVI at 2 bits: keys by channel, values by token, the newest 128 tokens in f16.
    Kivi2,
}

impl Precise {
    pub(crate) fn precision(self) -> Precision {
        match self {
            Precise::F16 => Precision::F16,
            Precise::F32 => Precision::F32,
        }
    }
}

impl Kv {
    /// What the prompt is read in.
    pub(crate) fn precision(self) -> Precision {
        if self == Kv::F32 { Precision::F32 } else { Precision::F16 }
    }

    /// Returns how the cache is quantised after the prompt; `None` if it stays in floating point.
    pub(crate) fn quantisation(self) -> Option<Quantisation> {
        match self {
            Kv::F16 | Kv::F32 => None,
            Kv::Int8 => Some(Quantisation::Int8),
            Kv::Int4 => Some(Quantisation::Int4),
            Kv::Kivi4 => Some(Quantisation::kivi(4)),
            Kv::Kivi2 => Some(Quantisation::kivi(2)),
        }
    }
}
