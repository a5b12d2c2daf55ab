//! The types that ternary weights are written in.

use crate::{
    Coding,
    codec::{i2s, tq1_0, tq2_0},
};

/// How ternary weights are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// For bitnet.cpp: two bits a weight, in the layout of the official file, with an f32 scale.
    I2S,
    /// For llama.cpp: 1.69 bits a weight, with an f16 scale.
    Tq1_0,
    /// For llama.cpp: 2.06 bits a weight, with an f16 scale.
    Tq2_0,
}

impl Target {
    /// The name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Target::I2S => "I2_S",
            Target::Tq1_0 => "TQ1_0",
            Target::Tq2_0 => "TQ2_0",
        }
    }

    /// `general.file_type`.
    pub(super) fn file_type(self) -> u32 {
        match self {
            Target::I2S => 40,
            Target::Tq1_0 => 36,
            Target::Tq2_0 => 37,
        }
    }

    pub(super) fn coding(self) -> Coding {
        match self {
            Target::I2S => Coding::I2S(i2s::Layout::X86),
            Target::Tq1_0 => Coding::Tq1_0,
            Target::Tq2_0 => Coding::Tq2_0,
        }
    }

    /// Columns that a row must have a multiple of.
    pub(super) fn block(self) -> usize {
        match self {
            Target::I2S => 128,
            Target::Tq1_0 => tq1_0::BLOCK,
            Target::Tq2_0 => tq2_0::BLOCK,
        }
    }

    pub(super) fn length(self, rows: usize, cols: usize) -> u64 {
        let values = (rows * cols) as u64;
        match self {
            Target::I2S => values / 4 + i2s::tail(0.0).len() as u64,
            Target::Tq1_0 => values / tq1_0::BLOCK as u64 * tq1_0::BLOCK_BYTES as u64,
            Target::Tq2_0 => values / tq2_0::BLOCK as u64 * tq2_0::BLOCK_BYTES as u64,
        }
    }
}
