//! llama.cpp's TQ2_0: blocks of 256 two-bit codes, least significant pair first, each with an f16 scale.
//!
//! Reference: llama.cpp `ggml-quants.c`, `dequantize_row_tq2_0`.

use half::f16;

/// Codes of a block.
pub const BLOCK: usize = 256;
/// Bytes of a block: two bits a code, then the scale.
pub const BLOCK_BYTES: usize = BLOCK / 4 + 2;

/// Whether rows of `cols` codes have whole blocks.
pub fn fits(cols: usize) -> bool {
    cols.is_multiple_of(BLOCK)
}

/// Writes the codes of `row` of a matrix `[.., out.len()]` that [`fits`]; a block whose scale is 0 holds zeros.
///
/// # Panics
/// When `data` is too short.
pub fn decode_row(data: &[u8], row: usize, out: &mut [u8]) {
    let blocks = out.len() / BLOCK;
    let blocks = &data.as_chunks::<BLOCK_BYTES>().0[row * blocks..][..blocks];
    for (block, out) in blocks.iter().zip(out.as_chunks_mut::<BLOCK>().0) {
        if block_scale(block) == 0.0 {
            out.fill(1);
            continue;
        }
        let halves = block.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<{ BLOCK / 2 }>().0);
        for (bytes, half) in halves {
            for (place, codes) in half.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                codes.iter_mut().zip(bytes).for_each(|(code, byte)| *code = (byte >> (2 * place)) & 3);
            }
        }
    }
}

/// Appends a row of codes that [`fits`]; every block gets the scale `d`.
pub fn encode_row(codes: &[u8], d: f16, to: &mut Vec<u8>) {
    for block in codes.as_chunks::<BLOCK>().0 {
        for half in block.as_chunks::<{ BLOCK / 2 }>().0 {
            let byte = |m: usize| half[m] | half[m + 32] << 2 | half[m + 64] << 4 | half[m + 96] << 6;
            to.extend((0..32).map(byte));
        }
        to.extend(d.to_le_bytes());
    }
}

/// The scale that all blocks share, those of scale 0 apart; `None` when they differ. 0 when there are no others.
pub fn scale(data: &[u8]) -> Option<f32> {
    super::shared_scale(data.as_chunks::<BLOCK_BYTES>().0.iter().map(block_scale))
}

fn block_scale(block: &[u8; BLOCK_BYTES]) -> f32 {
    f16::from_le_bytes([block[BLOCK_BYTES - 2], block[BLOCK_BYTES - 1]]).to_f32()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the Python package `gguf` makes of [`super::super::known::codes`] times 1.21875.
    #[rustfmt::skip]
    const KNOWN: [u8; BLOCK_BYTES] = [
        0x98, 0x29, 0x5A, 0x88, 0x2A, 0x62, 0x05, 0x88, 0x4A, 0x82, 0x54, 0x00, 0x14, 0xA8, 0x44, 0x52, 0x52,
        0xA8, 0x94, 0xA5, 0x15, 0x66, 0x95, 0x12, 0x05, 0x86, 0x29, 0xA0, 0x62, 0xA9, 0xA0, 0x6A, 0x51, 0x25,
        0x80, 0x88, 0x94, 0xA0, 0x89, 0xA8, 0x29, 0x5A, 0x84, 0xA6, 0x26, 0x49, 0x08, 0x4A, 0x81, 0x46, 0x21,
        0x25, 0x88, 0x44, 0x52, 0x5A, 0x64, 0x58, 0x29, 0x55, 0x66, 0x94, 0x01, 0x26, 0xE0, 0x3C,
    ];

    #[test]
    fn known_bytes() {
        let codes = super::super::known::codes();
        let (mut bytes, mut decoded) = (Vec::new(), [9; BLOCK]);
        encode_row(&codes, f16::from_f32(1.21875), &mut bytes);
        assert_eq!(bytes, KNOWN);
        decode_row(&KNOWN, 0, &mut decoded);
        assert_eq!((decoded, scale(&KNOWN)), (codes, Some(1.21875)));
    }

    #[test]
    fn blocks_share_a_scale_or_hold_zeros() {
        let block = |code: u8, d: f32| {
            let mut bytes = Vec::new();
            encode_row(&[code; BLOCK], f16::from_f32(d), &mut bytes);
            bytes
        };
        let mut codes = [9; 3 * BLOCK];
        let data = [block(2, 0.5), block(0, 0.0), block(0, 0.5)].concat();
        decode_row(&data, 0, &mut codes);
        assert_eq!(([0, 255, 256, 511, 512, 767].map(|i| codes[i])), [2, 2, 1, 1, 0, 0]);
        assert_eq!(scale(&data), Some(0.5));
        assert_eq!(scale(&[block(2, 0.5), block(2, 0.25)].concat()), None);
        assert_eq!(scale(&block(1, 0.0)), Some(0.0));
        assert_eq!(scale(&[block(2, f32::NAN), block(2, 1.0)].concat()), None);
    }

    proptest! {
        #[test]
        fn any_row_survives(codes in prop::collection::vec(0u8..3, BLOCK), rows in 1usize..4, blocks in 1usize..4) {
            let row: Vec<u8> = codes.iter().copied().cycle().take(blocks * BLOCK).collect();
            let mut bytes = Vec::new();
            for shift in 0..rows {
                let shifted: Vec<u8> = row.iter().map(|code| (code + shift as u8) % 3).collect();
                encode_row(&shifted, f16::ONE, &mut bytes);
            }
            prop_assert_eq!(bytes.len(), rows * blocks * BLOCK_BYTES);
            for shift in 0..rows {
                let mut out = vec![9; blocks * BLOCK];
                decode_row(&bytes, shift, &mut out);
                prop_assert!(out.iter().zip(&row).all(|(a, b)| *a == (b + shift as u8) % 3));
            }
        }
    }
}
