//! The numbers of the output head.

use bitkv_bitnet::LmHeadPrecision;
use clap::ValueEnum;

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LmHeadArgument {
    /// Those of the checkpoint.
    Exact,
    /// Int8 finds the tokens that can be chosen, whose exact logits decide: the tokens of the exact head.
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
