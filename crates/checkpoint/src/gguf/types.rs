//! Tensor types: what the numbers in files mean, and how many bytes values take.
//!
//! References: ggml.h of llama.cpp, and of the forks that bitnet.cpp builds on, which gave the numbers 36 to 39 to
//! types of their own. llama.cpp has since used 39 for something else.

use crate::{
    Coding,
    codec::{CODECS, i2s},
};

/// Lookup-table types of the forks, whose tile sizes are not in the file.
pub(super) const TL1: &str = "TL1";
pub(super) const TL2: &str = "TL2";

/// The forks' `general.file_type` of a file with TL2 tensors.
const TL2_FILE: i128 = 39;

/// Number, name, values of a block, and bytes of a block, where these are not in the table of ternary codings.
type Row = (u32, &'static str, usize, usize);

#[rustfmt::skip]
const TYPES: [Row; 33] = [
    (0, "F32", 1, 4), (1, "F16", 1, 2), (2, "Q4_0", 32, 18), (3, "Q4_1", 32, 20), (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24), (8, "Q8_0", 32, 34), (10, "Q2_K", 256, 84), (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144), (13, "Q5_K", 256, 176), (14, "Q6_K", 256, 210), (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66), (17, "IQ2_XS", 256, 74), (18, "IQ3_XXS", 256, 98), (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18), (21, "IQ3_S", 256, 110), (22, "IQ2_S", 256, 82), (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1), (25, "I16", 1, 2), (26, "I32", 1, 4), (27, "I64", 1, 8), (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56), (30, "BF16", 1, 2), (37, "I8_S", 1, 1), (39, "MXFP4", 32, 17), (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18), (42, "Q2_0", 64, 18),
];

/// What else in a file tells the meaning of a number.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) architecture: &'a str,
    pub(super) file_type: Option<i128>,
}

/// The coding of a type number.
pub(super) fn coding(id: u32, layout: i2s::Layout, context: Context<'_>) -> Coding {
    let own = |own: i2s::Layout| own == layout;
    if let Some(codec) = CODECS.iter().find(|codec| codec.id == id && codec.layout.is_none_or(own)) {
        return Coding::Ternary(codec);
    }
    let forked = context.architecture.starts_with("bitnet") || context.file_type == Some(TL2_FILE);
    let name = match id {
        38 => TL1,
        39 if forked => TL2,
        _ => TYPES.iter().find(|row| row.0 == id).map_or("", |row| row.1),
    };
    match name {
        "" => Coding::Other(format!("unknown ({id})")),
        "F32" => Coding::F32,
        "F16" => Coding::F16,
        "BF16" => Coding::Bf16,
        "Q8_0" => Coding::Q8_0,
        "Q6_K" => Coding::Q6K,
        other => Coding::Other(other.into()),
    }
}

/// The number of a coding that files can be written in.
pub(super) fn id(coding: &Coding) -> Option<u32> {
    match coding {
        Coding::Ternary(codec) => Some(codec.id),
        other => TYPES.iter().find(|row| row.1 == other.name()).map(|row| row.0),
    }
}

/// How many bytes a tensor takes.
pub(super) enum Size {
    /// As many as this.
    Bytes(u64),
    /// The type is not known well enough to tell.
    Unknown,
    /// The innermost dimension does not have whole blocks of this many values.
    Broken(usize),
}

/// The size of `values` values in rows of `inner`.
pub(super) fn size(coding: &Coding, inner: u64, values: u64) -> Size {
    if let Coding::Ternary(codec) = coding {
        let bytes = (codec.bytes)(inner as usize, values as usize);
        return bytes.map_or(Size::Broken(codec.block), |bytes| Size::Bytes(bytes as u64));
    }
    let Some(row) = TYPES.iter().find(|row| row.1 == coding.name()) else { return Size::Unknown };
    if !inner.is_multiple_of(row.2 as u64) {
        return Size::Broken(row.2);
    }
    (values / row.2 as u64).checked_mul(row.3 as u64).map_or(Size::Unknown, Size::Bytes)
}
