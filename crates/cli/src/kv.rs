//! What a cache may hold.

use bitkv_bitnet::{Precision, Quantisation};
use clap::ValueEnum;

/// Types of numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Precise {
    F16,
    F32,
}

/// Types of numbers, and what they can be stored as once the prompt is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kv {
    F16,
    F32,
    /// 8 bits, a scale for each token.
    Int8,
    /// 4 bits, a scale for every 32 channels of a token.
    Int4,
    /// KIVI at 4 bits: keys by channel, values by token, the newest 128 tokens in f16.
    Kivi4,
    /// The same at 2 bits.
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

    /// What the cache is stored as then; none where it stays as it is.
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
