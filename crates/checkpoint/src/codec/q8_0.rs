//! Q8_0 of llama.cpp: blocks of an f16 scale and 32 int8 values.
//!
//! Reference: llama.cpp `ggml-quants.c`, `dequantize_row_q8_0`.

use half::f16;

/// The number of values in a block.
pub const BLOCK: usize = 32;
/// The bytes of a block.
pub const BLOCK_BYTES: usize = 2 + BLOCK;

/// Writes the values `from .. from + out.len()`.
///
/// # Panics
/// Panics if they reach past the end of `data` or `from` is not the start of a block.
pub fn read(data: &[u8], from: usize, out: &mut [f32]) {
    assert!(from.is_multiple_of(BLOCK), "the start of a block");
    let blocks = &data.as_chunks::<BLOCK_BYTES>().0[from / BLOCK..][..out.len().div_ceil(BLOCK)];
    for (block, out) in blocks.iter().zip(out.chunks_mut(BLOCK)) {
        let d = block_scale(block);
        out.iter_mut().zip(&block[2..]).for_each(|(value, byte)| *value = d * f32::from(*byte as i8));
    }
}

/// Returns the index of the first value of the first block whose scale is infinite or NaN.
pub fn first_not_finite(data: &[u8]) -> Option<usize> {
    let blocks = data.as_chunks::<BLOCK_BYTES>().0;
    blocks.iter().position(|block| !block_scale(block).is_finite()).map(|block| block * BLOCK)
}

fn block_scale(block: &[u8; BLOCK_BYTES]) -> f32 {
    f16::from_le_bytes([block[0], block[1]]).to_f32()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values `0.375 * (37 * i % 64 - 31)` as the Python package `gguf` encodes them.
    #[rustfmt::skip]
    const KNOWN: [u8; BLOCK_BYTES] = [
        0x0C, 0x2E, 0x85, 0x18, 0xAD, 0x40, 0xD4, 0x67, 0xFC, 0x91, 0x24, 0xB9, 0x4B, 0xE0, 0x73, 0x08, 0x9D,
        0x30, 0xC4, 0x57, 0xEC, 0x7F, 0x14, 0xA9, 0x3C, 0xD0, 0x63, 0xF8, 0x8D, 0x20, 0xB5, 0x47, 0xDC, 0x6F,
    ];

    #[test]
    fn known_values() {
        let mut out = [0.0; BLOCK];
        read(&KNOWN, 0, &mut out);
        let bits = [0, 1, 2, 17, 31].map(|i| out[i].to_bits());
        assert_eq!(bits, [0xC139_F100, 0x4011_2000, 0xC0FA_F200, 0x4103_8500, 0x4127_CD00]);
        for (i, value) in out.iter().enumerate() {
            let original = 0.375 * ((37 * i % 64) as f32 - 31.0);
            assert!((value - original).abs() <= 0.05, "value {i}: {value}, {original}");
        }
    }

    #[test]
    fn a_part_begins_at_a_block() {
        let data = [KNOWN, KNOWN.map(|byte| byte ^ 0x10), KNOWN].concat();
        let (mut all, mut part) = ([0.0; 3 * BLOCK], [0.0; 40]);
        read(&data, 0, &mut all);
        read(&data, BLOCK, &mut part);
        assert_eq!(part, all[BLOCK..][..40]);
        assert_ne!(all[..BLOCK], all[BLOCK..2 * BLOCK]);
    }

    #[test]
    fn scales_are_finite() {
        let mut data = [KNOWN, KNOWN].concat();
        assert_eq!(first_not_finite(&data), None);
        data[BLOCK_BYTES + 1] = 0x7C;
        assert_eq!(first_not_finite(&data), Some(BLOCK));
    }
}
