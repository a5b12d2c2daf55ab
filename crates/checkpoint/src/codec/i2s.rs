//! I2_S of bitnet.cpp: two-bit codes, most significant pair first, followed by one f32 scale per tensor.
//!
//! Reference: bitnet.cpp `src/ggml-bitnet-mad.cpp`, `quantize_i2_s`. Its builds disagree about the order of
//! the codes, and files do not record which build wrote them.

use std::ops::Range;

use super::{Codec, Encoding};
use crate::FloatType;

/// I2_S in the layout of x86 builds, the only one that is written.
pub const X86: Codec = Codec {
    name: "I2_S",
    // This is the number in the forks of llama.cpp that bitnet.cpp builds on. llama.cpp itself no longer uses
    // it.
    id: 36,
    layout: Some(Layout::X86),
    block: 4,
    bytes: |_, values| byte_length(values),
    unit: Layout::X86.unit(),
    scale: |data, values| Some(scale(data, values)),
    decode_row: |data, row, out| decode_row(data, Layout::X86, row, out),
    encoding: Some(Encoding {
        options: &["i2_s", "i2s"],
        about: "GGUF for bitnet.cpp",
        file_type: 40,
        scale: FloatType::F32,
        encode_row: |codes, _, to| encode_row(codes, to),
        tail: Some(tail),
    }),
};

/// I2_S in the layout of Arm builds.
pub const ARM: Codec = Codec {
    layout: Some(Layout::Arm),
    unit: Layout::Arm.unit(),
    decode_row: |data, row, out| decode_row(data, Layout::Arm, row, out),
    encoding: None,
    ..X86
};

/// I2_S in the four-row layout.
pub const FOUR_ROW: Codec = Codec {
    layout: Some(Layout::FourRow),
    unit: Layout::FourRow.unit(),
    decode_row: |data, row, out| decode_row(data, Layout::FourRow, row, out),
    encoding: None,
    ..X86
};

/// The number of bytes after the codes: the scale in the first four, then padding whose value is undefined.
const TAIL: usize = 32;

/// The order of the codes: which four of them share a byte. The first of the four has the two highest bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layout {
    /// Byte `p` of a block of 128 columns holds columns `p`, `p + 32`, `p + 64` and `p + 96`. The published
    /// file and all default builds except Arm's use it.
    X86,
    /// Byte `p` of a block of 64 columns holds columns `p`, `p + 16`, `p + 32` and `p + 48`. Arm builds use
    /// it since November 2025.
    Arm,
    /// Byte `c` of a group of four rows holds column `c` of these rows. Builds without `ACT_PARALLEL` use it.
    FourRow,
}

impl Layout {
    /// All layouts, the most common one first.
    pub const ALL: [Layout; 3] = [Layout::X86, Layout::Arm, Layout::FourRow];

    /// Returns the name in options and tables.
    pub fn name(self) -> &'static str {
        match self {
            Layout::X86 => "x86",
            Layout::Arm => "arm",
            Layout::FourRow => "four-row",
        }
    }

    /// Returns the rows and columns of a block.
    const fn unit(self) -> [usize; 2] {
        match self {
            Layout::X86 => [1, 128],
            Layout::Arm => [1, 64],
            Layout::FourRow => [4, 1],
        }
    }
}

/// Returns whether a matrix `[rows, cols]` consists of whole blocks.
pub fn fits(layout: Layout, rows: usize, cols: usize) -> bool {
    let [unit_rows, unit_cols] = layout.unit();
    rows.is_multiple_of(unit_rows) && cols.is_multiple_of(unit_cols)
}

/// Returns the size in bytes of `values` codes with their scale; `None` unless they fill whole bytes.
pub fn byte_length(values: usize) -> Option<usize> {
    values.is_multiple_of(4).then_some(values / 4 + TAIL)
}

/// Returns the multiplier of a tensor of `values` codes: `weight = (code - 1) * multiplier`.
///
/// # Panics
/// Panics if `data` is too short.
pub fn scale(data: &[u8], values: usize) -> f32 {
    let bytes = data[values / 4..].first_chunk().expect("the scale follows the codes");
    f32::from_le_bytes(*bytes)
}

/// Writes the codes of row `row` of a matrix `[.., out.len()]` that [`fits`].
///
/// # Panics
/// Panics if `data` is too short.
pub fn decode_row(data: &[u8], layout: Layout, row: usize, out: &mut [u8]) {
    let cols = out.len();
    match layout {
        Layout::X86 => split_blocks::<32, 128>(&data[row_bytes(row, cols)], out),
        Layout::Arm => split_blocks::<16, 64>(&data[row_bytes(row, cols)], out),
        Layout::FourRow => {
            let (bytes, shift) = (&data[row / 4 * cols..][..cols], shift(row % 4));
            out.iter_mut().zip(bytes).for_each(|(code, byte)| *code = (byte >> shift) & 3);
        }
    }
}

/// Returns the bytes of a matrix `[rows, cols]` that [`fits`], with padding of zeros. `codes(row, out)`
/// writes the codes of a row to `out`.
///
/// # Panics
/// Panics if the matrix does not fit.
pub fn encode(
    layout: Layout,
    rows: usize,
    cols: usize,
    mut codes: impl FnMut(usize, &mut [u8]),
    multiplier: f32,
) -> Vec<u8> {
    assert!(fits(layout, rows, cols), "whole blocks");
    let mut bytes = vec![0; rows * cols / 4];
    let mut row_codes = vec![0; cols];
    for row in 0..rows {
        codes(row, &mut row_codes);
        match layout {
            Layout::X86 => join_blocks::<32, 128>(&row_codes, &mut bytes[row_bytes(row, cols)]),
            Layout::Arm => join_blocks::<16, 64>(&row_codes, &mut bytes[row_bytes(row, cols)]),
            Layout::FourRow => {
                let (to, shift) = (&mut bytes[row / 4 * cols..][..cols], shift(row % 4));
                to.iter_mut().zip(&row_codes).for_each(|(byte, code)| *byte |= code << shift);
            }
        }
    }
    bytes.extend(tail(multiplier));
    bytes
}

/// Appends a row of a matrix that [`fits`], in the x86 layout.
pub fn encode_row(codes: &[u8], to: &mut Vec<u8>) {
    let from = to.len();
    to.resize(from + codes.len() / 4, 0);
    join_blocks::<32, 128>(codes, &mut to[from..]);
}

/// Returns the bytes that follow the codes of a tensor: the scale, and padding of zeros.
pub fn tail(multiplier: f32) -> Vec<u8> {
    let mut bytes = multiplier.to_le_bytes().to_vec();
    bytes.resize(TAIL, 0);
    bytes
}

/// Returns the range of bytes that hold a row of `cols` codes.
fn row_bytes(row: usize, cols: usize) -> Range<usize> {
    row * cols / 4..(row + 1) * cols / 4
}

/// Returns the bit position of code number `index` (0 to 3) in a byte.
fn shift(index: usize) -> usize {
    6 - 2 * index
}

/// Decodes blocks of `W` bytes to `B = 4 * W` codes. The sizes are constants, so that the loops are
/// vectorised.
fn split_blocks<const W: usize, const B: usize>(bytes: &[u8], codes: &mut [u8]) {
    let blocks = bytes.as_chunks::<W>().0.iter().zip(codes.as_chunks_mut::<B>().0);
    for (bytes, codes) in blocks {
        for (index, codes) in codes.as_chunks_mut::<W>().0.iter_mut().enumerate() {
            let shift = shift(index);
            codes.iter_mut().zip(bytes).for_each(|(code, byte)| *code = (byte >> shift) & 3);
        }
    }
}

/// Encodes blocks of `B = 4 * W` codes to `W` bytes.
fn join_blocks<const W: usize, const B: usize>(codes: &[u8], bytes: &mut [u8]) {
    let blocks = bytes.as_chunks_mut::<W>().0.iter_mut().zip(codes.as_chunks::<B>().0);
    for (bytes, codes) in blocks {
        for (index, codes) in codes.as_chunks::<W>().0.iter().enumerate() {
            let shift = shift(index);
            bytes.iter_mut().zip(codes).for_each(|(byte, code)| *byte |= code << shift);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_of_four_codes_has_the_highest_bits() {
        let mut data = vec![0x55; 32];
        data[0] = 0b00_01_10_01;
        data[31] = 0b10_00_01_10;
        let mut codes = [9; 128];
        decode_row(&data, Layout::X86, 0, &mut codes);
        assert_eq!([0, 32, 64, 96].map(|i| codes[i]), [0, 1, 2, 1]);
        assert_eq!([31, 63, 95, 127].map(|i| codes[i]), [2, 0, 1, 2]);
        assert_eq!(codes.iter().filter(|code| **code == 1).count(), 123);

        decode_row(&data, Layout::Arm, 1, &mut codes[..64]);
        assert_eq!([15, 31, 47, 63].map(|i| codes[i]), [2, 0, 1, 2]);
        decode_row(&data, Layout::FourRow, 2, &mut codes[..32]);
        assert_eq!((codes[0], codes[31]), (2, 1));
    }

    #[test]
    fn the_scale_follows_the_codes() {
        let data = encode(Layout::X86, 1, 128, |_, out| out.fill(1), 1.21875);
        let mut expected = vec![0x55; 32];
        expected.extend([0, 0, 0x9C, 0x3F]);
        expected.resize(64, 0);
        assert_eq!(data, expected);
        assert_eq!((scale(&data, 128), byte_length(128), byte_length(126)), (1.21875, Some(64), None));
    }

    proptest! {
        #[test]
        fn any_shape_survives(groups in 1usize..5, blocks in 1usize..5, seed in any::<u64>()) {
            let (rows, cols) = (4 * groups, 128 * blocks);
            let code = |row: usize, col: usize| {
                ((seed ^ (row * cols + col) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60) as u8 % 3
            };
            for layout in Layout::ALL {
                prop_assert!(fits(layout, rows, cols));
                let fill = |row: usize, out: &mut [u8]| (0..cols).for_each(|col| out[col] = code(row, col));
                let data = encode(layout, rows, cols, fill, 0.7);
                prop_assert_eq!(Some(data.len()), byte_length(rows * cols));
                for row in 0..rows {
                    let mut out = vec![9; cols];
                    decode_row(&data, layout, row, &mut out);
                    prop_assert!((0..cols).all(|col| out[col] == code(row, col)), "{:?}, row {}", layout, row);
                }
                prop_assert_eq!(scale(&data, rows * cols), 0.7);
                if layout == Layout::X86 {
                    let (mut by_rows, mut row_codes) = (Vec::new(), vec![0; cols]);
                    for row in 0..rows {
                        fill(row, &mut row_codes);
                        encode_row(&row_codes, &mut by_rows);
                    }
                    by_rows.extend(tail(0.7));
                    prop_assert_eq!(&by_rows, &data);
                }
            }
        }
    }
}
