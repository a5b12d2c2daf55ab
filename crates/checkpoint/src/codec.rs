//! The codecs of ternary and block-quantised values: pure functions that convert bytes to codes and back.
//!
//! A ternary code is the weight plus one: 0, 1 or 2. A decoder writes 3 where a file holds that invalid code,
//! so that the caller can name its position. [`packed_u8`] is the packing of transformers. [`CODECS`] lists
//! the ternary codings of GGUF files. [`QUANTS`] lists the codings of block-quantised embeddings.

mod blocks;
pub mod i2s;
pub mod packed_u8;
pub(crate) mod quants;
pub mod tq1_0;
pub mod tq2_0;

pub use quants::{QUANTS, QuantCodec};

use std::fmt;

use crate::FloatType;

/// The ternary codings of GGUF files, in the order in which they are listed. Readers, writers, options,
/// errors and help use this table, and a test checks that docs/CHECKPOINTS.md agrees with it.
pub static CODECS: &[Codec] = &[i2s::X86, i2s::ARM, i2s::FOUR_ROW, tq1_0::CODEC, tq2_0::CODEC];

/// A ternary coding of matrices in GGUF files: how it is named, read and written.
#[derive(Clone, Copy)]
pub struct Codec {
    /// The name in tables and errors. All layouts of a type have the same name.
    pub name: &'static str,
    /// The number by which GGUF files identify the type.
    pub id: u32,
    /// The order of the codes, for a type whose order is not recorded in the file.
    pub layout: Option<i2s::Layout>,
    /// The number of codes in a block.
    pub block: usize,
    /// Returns the size in bytes of a tensor, given the codes per row and in total; `None` if the rows do not
    /// consist of whole blocks.
    pub bytes: fn(usize, usize) -> Option<usize>,
    /// The number of rows and of columns of a linear layer must be multiples of these two numbers.
    pub unit: [usize; 2],
    /// Returns the multiplier of a tensor, given its bytes and its number of codes:
    /// `weight = (code - 1) * multiplier`. `None` if its blocks have different scales.
    pub scale: fn(&[u8], usize) -> Option<f32>,
    /// Writes the codes of a row, given the bytes of the tensor and the index of the row. The matrix must
    /// consist of whole blocks.
    pub decode_row: fn(&[u8], usize, &mut [u8]),
    /// How this coding is written; `None` if it is only read.
    pub encoding: Option<Encoding>,
}

/// How ternary weights are written in a coding.
#[derive(Clone, Copy)]
pub struct Encoding {
    /// The names on the command line, the usual one first.
    pub options: &'static [&'static str],
    /// The description in help texts.
    pub about: &'static str,
    /// The value of `general.file_type`.
    pub file_type: u32,
    /// The type in which the scale is stored.
    pub scale: FloatType,
    /// Appends a row of codes, given the scale.
    pub encode_row: fn(&[u8], f32, &mut Vec<u8>),
    /// Returns the bytes after the last row, given the scale.
    pub tail: Option<fn(f32) -> Vec<u8>>,
}

impl Codec {
    /// Returns whether every row of a matrix `[rows, cols]` can be decoded.
    pub fn fits(&self, rows: usize, cols: usize) -> bool {
        rows.is_multiple_of(self.unit[0]) && cols.is_multiple_of(self.unit[1])
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layout {
            Some(layout) => write!(f, "{} ({})", self.name, layout.name()),
            None => f.write_str(self.name),
        }
    }
}

impl PartialEq for Codec {
    fn eq(&self, other: &Codec) -> bool {
        (self.name, self.layout) == (other.name, other.layout)
    }
}

impl Eq for Codec {}

/// Returns the names of all ternary types, separated by commas, for error messages.
pub(crate) fn names() -> String {
    let mut names: Vec<&str> = CODECS.iter().map(|codec| codec.name).collect();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod test_codes {
    /// Returns 256 codes that look different in every wrong order.
    pub(super) fn codes() -> [u8; 256] {
        std::array::from_fn(|i| ((i * 7 + i / 5 * 11 + i * i / 13) % 3) as u8)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::Coding;

    const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CHECKPOINTS.md"));

    #[test]
    fn the_document_lists_every_coding() {
        let section =
            DOCUMENT.split("\n## ").find(|section| section.starts_with("Ternary codings\n")).unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
        let documented: Vec<&str> =
            rows.flat_map(|row| row.split('|').nth(1).unwrap().trim().split(", ")).collect();
        let mut all = vec![Coding::PackedU8.name().to_string()];
        all.extend(CODECS.iter().map(|codec| format!("{codec:?}")));
        assert_eq!(documented, all);
    }

    #[test]
    fn no_two_codings_share_a_number_or_an_option() {
        let keys = |codec: &Codec| [format!("{codec:?}"), format!("{} {:?}", codec.id, codec.layout)];
        let options = CODECS.iter().filter_map(|codec| codec.encoding).flat_map(|encoding| encoding.options);
        let all: Vec<String> = CODECS.iter().flat_map(keys).chain(options.map(ToString::to_string)).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    }

    /// Returns the bytes of a matrix with the scale 0.5.
    fn encoded(codec: &Codec, codes: &[u8], cols: usize) -> Vec<u8> {
        if let (Some(layout), None) = (codec.layout, codec.encoding) {
            let row = |row: usize, out: &mut [u8]| out.copy_from_slice(&codes[row * cols..][..cols]);
            return i2s::encode(layout, codes.len() / cols, cols, row, 0.5);
        }
        let (encoding, mut bytes) = (codec.encoding.expect("a coding that the test can write"), Vec::new());
        codes.chunks_exact(cols).for_each(|row| (encoding.encode_row)(row, 0.5, &mut bytes));
        bytes.extend(encoding.tail.map_or(Vec::new(), |tail| tail(0.5)));
        bytes
    }

    proptest! {
        /// Codes survive the packing of transformers, followed by any coding of the table.
        #[test]
        fn codes_survive_every_coding(groups in 1usize..4, blocks in 1usize..3, seed in any::<u64>()) {
            let (rows, cols) = (4 * groups, 256 * blocks);
            let original: Vec<u8> = (0..rows * cols)
                .map(|i| ((seed ^ i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60) as u8 % 3)
                .collect();
            let data = packed_u8::encode(rows, cols, |row, out| out.copy_from_slice(&original[row * cols..][..cols]));
            let mut codes = vec![9; rows * cols];
            let decode_all = |codes: &mut [u8], decode: &dyn Fn(usize, &mut [u8])| {
                codes.fill(9);
                codes.chunks_exact_mut(cols).enumerate().for_each(|(row, out)| decode(row, out));
            };
            decode_all(&mut codes, &|row, out| packed_u8::decode_row(&data, rows, row, out));
            for codec in CODECS {
                let data = encoded(codec, &codes, cols);
                prop_assert!(codec.fits(rows, cols) && !codec.fits(3, 100), "{:?}", codec);
                prop_assert_eq!((codec.bytes)(cols, rows * cols), Some(data.len()), "{:?}", codec);
                prop_assert_eq!((codec.bytes)(63, 63), None, "{:?}", codec);
                prop_assert_eq!((codec.scale)(&data, rows * cols), Some(0.5), "{:?}", codec);
                decode_all(&mut codes, &|row, out| (codec.decode_row)(&data, row, out));
                prop_assert_eq!(&codes, &original, "{:?}", codec);
            }
        }
    }
}
