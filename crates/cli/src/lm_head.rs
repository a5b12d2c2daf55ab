//! Numeric formats of the LM head, as arguments.

use bitkv_bitnet::LmHeadPrecision;
use clap::ValueEnum;

/// A format of the LM head.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LmHeadArgument {
    /// The format of the checkpoint.
    Exact,
    /// 8 bits; the logits of the likeliest tokens are then computed exactly, so the chosen tokens are the
    /// same.
    Int8,
}

impl LmHeadArgument {
    pub(crate) fn precision(self) -> LmHeadPrecision {
        match self {
            LmHeadArgument::Exact => LmHeadPrecision::Exact,
            LmHeadArgument::Int8 => LmHeadPrecision::Int8,
        }
    }
}
