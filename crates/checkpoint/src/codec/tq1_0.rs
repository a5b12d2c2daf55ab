//! TQ1_0 of llama.cpp: blocks of 256 codes, five ternary digits per byte, each block with an f16 scale.
//!
//! A byte divided by 256 is a fraction, rounded up, whose first digits in base 3 are the codes. Multiplying
//! by 3 moves the next digit before the point. Reference: llama.cpp `ggml-quants.c`, `dequantize_row_tq1_0`.

use half::f16;

use super::{
    Codec, Encoding,
    blocks::{self, BLOCK},
};
use crate::FloatType;

/// The entry in the table of codecs.
pub const CODEC: Codec = Codec {
    name: "TQ1_0",
    id: 34,
    layout: None,
    block: BLOCK,
    bytes: blocks::length::<BLOCK_BYTES>,
    unit: [1, BLOCK],
    scale: |data, _| blocks::scale::<BLOCK_BYTES>(data),
    decode_row,
    encoding: Some(Encoding {
        options: &["tq1_0"],
        about: "GGUF, 1.69 bits per weight; llama.cpp reads the architectures bitnet and llama, \
                bitnet.cpp also reads bitnet-b1.58",
        file_type: 36,
        scale: FloatType::F16,
        encode_row: |codes, multiplier, to| encode_row(codes, f16::from_f32(multiplier), to),
        tail: None,
    }),
};

/// The bytes of a block: 32 and 16 bytes that hold five codes each, 4 bytes that hold four codes each, then
/// the scale.
pub const BLOCK_BYTES: usize = 32 + 16 + 4 + 2;

/// Writes the codes of row `row` of a matrix `[.., out.len()]` of whole blocks. A block whose scale is 0
/// decodes to zeros.
///
/// # Panics
/// Panics if `data` is too short.
pub fn decode_row(data: &[u8], row: usize, out: &mut [u8]) {
    blocks::decode_row::<BLOCK_BYTES>(data, row, out, |block, out| {
        digits::<32>(&block[..32], &mut out[..160]);
        digits::<16>(&block[32..48], &mut out[160..240]);
        digits::<4>(&block[48..52], &mut out[240..]);
    });
}

/// Appends a row of whole blocks; every block gets the scale `d`.
pub fn encode_row(codes: &[u8], d: f16, to: &mut Vec<u8>) {
    blocks::encode_row(codes, d, to, |block, to| {
        pack::<32>(&block[..160], to);
        pack::<16>(&block[160..240], to);
        pack::<4>(&block[240..], to);
    });
}

/// Writes the digits of `W` bytes to `codes`: the first digit of every byte, then the second digit of every
/// byte, and so on.
fn digits<const W: usize>(bytes: &[u8], codes: &mut [u8]) {
    let mut bytes: [u8; W] = *bytes.first_chunk().expect("the caller passes W bytes");
    for codes in codes.as_chunks_mut::<W>().0 {
        for (code, byte) in codes.iter_mut().zip(&mut bytes) {
            // This computes floor(3 * byte / 256) by comparison, to stay in vectors of bytes.
            *code = u8::from(*byte >= 86) + u8::from(*byte >= 171);
            *byte = byte.wrapping_mul(3);
        }
    }
}

/// Appends the bytes whose [`digits`] are `codes`. Missing digits count as 0.
fn pack<const W: usize>(codes: &[u8], to: &mut Vec<u8>) {
    for at in 0..W {
        let digit = |place: usize| codes.get(at + W * place).map_or(0, |code| u32::from(*code));
        let value = (0..5).fold(0, |value, place| 3 * value + digit(place));
        to.push((value * 256).div_ceil(243) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes of [`super::super::test_codes::codes`] times 1.21875, as the Python package `gguf` encodes
    /// them.
    #[rustfmt::skip]
    const KNOWN: [u8; BLOCK_BYTES] = [
        0x4A, 0xA3, 0xF1, 0x40, 0xF7, 0xC1, 0x73, 0x40, 0xE8, 0xB4, 0x2A, 0x03, 0x29, 0x54, 0x20, 0xBA, 0xB9,
        0x55, 0x2E, 0x8D, 0x7C, 0xDE, 0x84, 0xB7, 0x72, 0xCE, 0xA3, 0x1B, 0xC3, 0xA8, 0x1B, 0xFC, 0x0B, 0x85,
        0x09, 0xD0, 0x9A, 0x32, 0xB0, 0xFC, 0xE1, 0xF2, 0x97, 0x8B, 0x8C, 0xCC, 0xAB, 0xCF, 0xF1, 0x82, 0x1D,
        0x26, 0xE0, 0x3C,
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

    #[test]
    fn every_byte_has_digits_below_three() {
        for byte in 0..=255u8 {
            let mut codes = [9; 20];
            digits::<4>(&[byte; 4], &mut codes);
            for (place, code) in codes.as_chunks::<4>().0.iter().enumerate() {
                let fraction = u32::from(byte) * 3u32.pow(place as u32) % 256;
                assert_eq!(u32::from(code[0]), 3 * fraction / 256, "digit {place} of {byte}");
            }
        }
    }
}
