//! TQ2_0 of llama.cpp: blocks of 256 two-bit codes, least significant pair first, each block with an f16
//! scale.
//!
//! Reference: llama.cpp `ggml-quants.c`, `dequantize_row_tq2_0`.

use half::f16;

use super::{
    Codec, Encoding,
    blocks::{self, BLOCK},
};
use crate::FloatType;

/// The entry in the table of codecs.
pub const CODEC: Codec = Codec {
    name: "TQ2_0",
    id: 35,
    layout: None,
    block: BLOCK,
    bytes: blocks::length::<BLOCK_BYTES>,
    unit: [1, BLOCK],
    scale: |data, _| blocks::scale::<BLOCK_BYTES>(data),
    decode_row,
    encoding: Some(Encoding {
        options: &["tq2_0"],
        about: "GGUF, 2.06 bits per weight; the programs that read TQ1_0 also read it",
        file_type: 37,
        scale: FloatType::F16,
        encode_row: |codes, multiplier, to| encode_row(codes, f16::from_f32(multiplier), to),
        tail: None,
    }),
};

/// The bytes of a block: two bits per code, then the scale.
pub const BLOCK_BYTES: usize = BLOCK / 4 + 2;

/// Writes the codes of row `row` of a matrix `[.., out.len()]` of whole blocks. A block whose scale is 0
/// decodes to zeros.
///
/// # Panics
/// Panics if `data` is too short.
pub fn decode_row(data: &[u8], row: usize, out: &mut [u8]) {
    blocks::decode_row::<BLOCK_BYTES>(data, row, out, |block, out| {
        let halves = block.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<{ BLOCK / 2 }>().0);
        for (bytes, half) in halves {
            for (place, codes) in half.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                codes.iter_mut().zip(bytes).for_each(|(code, byte)| *code = (byte >> (2 * place)) & 3);
            }
        }
    });
}

/// Appends a row of whole blocks; every block gets the scale `d`.
pub fn encode_row(codes: &[u8], d: f16, to: &mut Vec<u8>) {
    blocks::encode_row(codes, d, to, |block, to| {
        for half in block.as_chunks::<{ BLOCK / 2 }>().0 {
            let byte = |m: usize| half[m] | half[m + 32] << 2 | half[m + 64] << 4 | half[m + 96] << 6;
            to.extend((0..32).map(byte));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes of [`super::super::test_codes::codes`] times 1.21875, as the Python package `gguf` encodes
    /// them.
    #[rustfmt::skip]
    const KNOWN: [u8; BLOCK_BYTES] = [
        0x98, 0x29, 0x5A, 0x88, 0x2A, 0x62, 0x05, 0x88, 0x4A, 0x82, 0x54, 0x00, 0x14, 0xA8, 0x44, 0x52, 0x52,
        0xA8, 0x94, 0xA5, 0x15, 0x66, 0x95, 0x12, 0x05, 0x86, 0x29, 0xA0, 0x62, 0xA9, 0xA0, 0x6A, 0x51, 0x25,
        0x80, 0x88, 0x94, 0xA0, 0x89, 0xA8, 0x29, 0x5A, 0x84, 0xA6, 0x26, 0x49, 0x08, 0x4A, 0x81, 0x46, 0x21,
        0x25, 0x88, 0x44, 0x52, 0x5A, 0x64, 0x58, 0x29, 0x55, 0x66, 0x94, 0x01, 0x26, 0xE0, 0x3C,
    ];

    #[test]
    fn known_bytes() {
        let codes = super::super::test_codes::codes();
        let (mut bytes, mut decoded) = (Vec::new(), [9; BLOCK]);
        encode_row(&codes, f16::from_f32(1.21875), &mut bytes);
        assert_eq!(bytes, KNOWN);
        decode_row(&KNOWN, 0, &mut decoded);
        assert_eq!((decoded, (CODEC.scale)(&KNOWN, BLOCK)), (codes, Some(1.21875)));
    }
}
