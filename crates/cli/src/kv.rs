//! Numeric formats of the KV cache, as arguments.

use bitkv_bitnet::{CachePrecision, Quantisation};
use clap::ValueEnum;

/// A floating-point format of the cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum FloatArgument {
    F16,
    F32,
}

/// A format of the cache: floating point, or quantised after the prompt is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum KvArgument {
    /// 16-bit floating point.
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

impl FloatArgument {
    pub(crate) fn precision(self) -> CachePrecision {
        match self {
            FloatArgument::F16 => CachePrecision::F16,
            FloatArgument::F32 => CachePrecision::F32,
        }
    }
}

impl KvArgument {
    /// Returns the format in which the prompt is read.
    pub(crate) fn precision(self) -> CachePrecision {
        if self == KvArgument::F32 { CachePrecision::F32 } else { CachePrecision::F16 }
    }

    /// Returns how the cache is quantised after the prompt; `None` if it stays in floating point.
    pub(crate) fn quantisation(self) -> Option<Quantisation> {
        match self {
            KvArgument::F16 | KvArgument::F32 => None,
            KvArgument::Int8 => Some(Quantisation::Int8),
            KvArgument::Int4 => Some(Quantisation::Int4),
            KvArgument::Kivi4 => Some(Quantisation::kivi(4)),
            KvArgument::Kivi2 => Some(Quantisation::kivi(2)),
        }
    }
}
