//! The tensor types of GGUF files: what their numbers mean, and how many bytes their values take.
//!
//! References: ggml.h of llama.cpp, of the forks that bitnet.cpp builds on, and of ik_llama.cpp. The forks
//! use the numbers 36 to 39 for types of their own; llama.cpp has since given 39 to another type.

use crate::{
    Coding,
    codec::{CODECS, QUANTS, i2s},
};

/// A lookup-table type of the forks, whose tile sizes are not in the file.
pub(super) const TL1: &str = "TL1";
/// Another lookup-table type of the forks.
pub(super) const TL2: &str = "TL2";

/// The value of `general.file_type` that the forks write for a file with TL2 tensors.
const TL2_FILE: i128 = 39;

/// The number, name, values per block and bytes per block of a type that is not in the tables of codecs.
type Row = (u32, &'static str, usize, usize);

/// The types that are not in the tables of codecs.
#[rustfmt::skip]
const TYPES: [Row; 24] = [
    (0, "F32", 1, 4), (1, "F16", 1, 2), (9, "Q8_1", 32, 36), (15, "Q8_K", 256, 292), (16, "IQ2_XXS", 256, 66), (17, "IQ2_XS", 256, 74), (18, "IQ3_XXS", 256, 98), (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18), (21, "IQ3_S", 256, 110), (22, "IQ2_S", 256, 82), (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1), (25, "I16", 1, 2), (26, "I32", 1, 4), (27, "I64", 1, 8), (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56), (30, "BF16", 1, 2), (37, "I8_S", 1, 1), (39, "MXFP4", 32, 17), (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18), (42, "Q2_0", 64, 18),
];

/// Types of ik_llama.cpp and of old versions of llama.cpp, which are named in messages. Some have a scale per
/// row, so that their size does not follow from their number of values alone.
#[rustfmt::skip]
const NAMED: [(u32, &str); 34] = [
    (4, "Q4_2"), (5, "Q4_3"), (31, "Q4_0_4_4"), (32, "Q4_0_4_8"), (33, "Q4_0_8_8"), (133, "Q6_0"),
    (134, "IQ1_BN"), (135, "IQ2_BN"), (136, "Q8_K64"), (137, "IQ2_K"), (138, "IQ3_K"), (139, "IQ4_K"),
    (140, "IQ5_K"), (141, "IQ6_K"), (144, "IQ4_KS"), (145, "IQ2_KS"), (146, "IQ4_KSS"), (151, "Q8_KV"),
    (152, "IQ5_KS"), (153, "IQ2_KT"), (154, "IQ3_KT"), (155, "IQ4_KT"), (156, "IQ3_KS"), (157, "IQ2_KL"),
    (158, "IQ1_KT"), (202, "Q4_0_R8"), (206, "Q5_0_R4"), (208, "Q8_0_R8"), (216, "IQ2_XXS_R4"),
    (217, "IQ2_XS_R4"), (219, "IQ1_S_R4"), (229, "IQ1_M_R4"), (230, "BF16_R16"), (335, "IQ2_BN_R4"),
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
    if let Some(codec) = QUANTS.iter().find(|codec| codec.id == id) {
        return Coding::Quant(codec);
    }
    let forked = context.architecture.starts_with("bitnet") || context.file_type == Some(TL2_FILE);
    let name = match id {
        38 => TL1,
        39 if forked => TL2,
        _ => {
            let known = TYPES.iter().map(|row| (row.0, row.1)).chain(NAMED).find(|row| row.0 == id);
            known.map_or("", |row| row.1)
        }
    };
    match name {
        "" => Coding::Other(format!("unknown ({id})")),
        "F32" => Coding::F32,
        "F16" => Coding::F16,
        "BF16" => Coding::Bf16,
        other => Coding::Other(other.into()),
    }
}

/// Returns the number of a coding in files; `None` if files with this coding cannot be written.
pub(super) fn id(coding: &Coding) -> Option<u32> {
    match coding {
        Coding::Ternary(codec) => Some(codec.id),
        Coding::Quant(codec) => Some(codec.id),
        other => TYPES.iter().find(|row| row.1 == other.name()).map(|row| row.0),
    }
}

/// The names of types that safetensors files have too, under no number.
const SHARED: [&str; 5] = ["I8", "I16", "I32", "I64", "F64"];

/// Returns the name of a coding for messages. The name of a type that cannot be read is followed by its
/// number, because programs name types differently.
pub(crate) fn description(coding: &Coding) -> String {
    let name = coding.name();
    let all = TYPES.iter().map(|row| (row.0, row.1)).chain(NAMED).chain([(38, TL1), (39, TL2)]);
    let number = all.into_iter().find(|row| row.1 == name && !SHARED.contains(&name));
    match (coding, number) {
        (Coding::Other(_), Some((id, _))) => format!("{name} (type {id})"),
        _ => name.into(),
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
    let row = TYPES.iter().find(|row| row.1 == coding.name());
    let (block, bytes) = match (coding, row) {
        (Coding::Quant(codec), _) => (codec.block, codec.bytes),
        (_, Some((.., block, bytes))) => (*block, *bytes),
        (_, None) => return Size::Unknown,
    };
    if !inner.is_multiple_of(block as u64) {
        return Size::Broken(block);
    }
    (values / block as u64).checked_mul(bytes as u64).map_or(Size::Unknown, Size::Bytes)
}
