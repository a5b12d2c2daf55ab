//! The tensor types of GGUF files: what their numbers mean, and how many bytes their values take.
//!
//! References: ggml.h of llama.cpp, and of the forks that bitnet.cpp builds on. The forks use the numbers 36
//! to 39 for types of their own; llama.cpp has since given 39 to another type.

use crate::{
    Coding,
    codec::{CODECS, i2s},
};

/// A lookup-table type of the forks, whose tile sizes are not in the file.
pub(super) const TL1: &str = "TL1";
/// Another lookup-table type of the forks.
pub(super) const TL2: &str = "TL2";

/// The value of `general.file_type` that the forks write for a file with TL2 tensors.
const TL2_FILE: i128 = 39;

/// The number, name, values per block and bytes per block of a type that is not in the table of ternary
/// codings.
type Row = (u32, &'static str, usize, usize);

/// The types that are not in the table of ternary codings.
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

/// The metadata that decide the meaning of a type number.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) architecture: &'a str,
    pub(super) file_type: Option<i128>,
}

/// Returns the coding of a type number.
pub(super) fn coding(id: u32, layout: i2s::Layout, context: Context<'_>) -> Coding {
    let is_chosen = |other: i2s::Layout| other == layout;
    if let Some(codec) = CODECS.iter().find(|codec| codec.id == id && codec.layout.is_none_or(is_chosen)) {
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

/// Returns the number of a coding in files; `None` if files with this coding cannot be written.
pub(super) fn id(coding: &Coding) -> Option<u32> {
    match coding {
        Coding::Ternary(codec) => Some(codec.id),
        other => TYPES.iter().find(|row| row.1 == other.name()).map(|row| row.0),
    }
}

/// The size of a tensor.
pub(super) enum Size {
    /// The size in bytes.
    Bytes(u64),
    /// The size is unknown, because the type is unknown.
    Unknown,
    /// The innermost dimension does not consist of whole blocks of this many values.
    Broken(usize),
}

/// Returns the size of a tensor of `values` values, in rows of `inner` values.
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
