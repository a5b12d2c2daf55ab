//! The numbers of the output head.

use bitkv_bitnet::HeadPrecision;
use clap::ValueEnum;

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Head {
    /// Those of the checkpoint.
    Exact,
    /// Int8 finds the tokens that can be chosen, whose exact logits decide: the tokens of the exact head.
    Int8,
}

impl Head {
    pub(crate) fn precision(self) -> HeadPrecision {
        match self {
            Head::Exact => HeadPrecision::Exact,
            Head::Int8 => HeadPrecision::Int8,
        }
    }
}
