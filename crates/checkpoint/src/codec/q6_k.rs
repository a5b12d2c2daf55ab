//! Q6_K of llama.cpp: blocks of 256 six-bit values, in sixteen groups of 16. Each group has an int8 scale and
//! each block an f16 scale.
//!
//! Reference: llama.cpp `ggml-quants.c`, `dequantize_row_q6_K`.

use half::f16;

/// The number of values in a block.
pub const BLOCK: usize = 256;
/// The bytes of a block: 128 of low bits, 64 of high bits, 16 group scales, and the block's scale.
pub const BLOCK_BYTES: usize = 128 + 64 + 16 + 2;

/// Writes the values `from .. from + out.len()`.
///
/// # Panics
/// Panics if they reach past the end of `data` or `from` is not the start of a block.
pub fn read(data: &[u8], from: usize, out: &mut [f32]) {
    assert!(from.is_multiple_of(BLOCK), "the start of a block");
    let blocks = &data.as_chunks::<BLOCK_BYTES>().0[from / BLOCK..][..out.len().div_ceil(BLOCK)];
    for (block, out) in blocks.iter().zip(out.chunks_mut(BLOCK)) {
        let mut whole = [0.0; BLOCK];
        expand(block, &mut whole);
        out.copy_from_slice(&whole[..out.len()]);
    }
}

/// Returns the index of the first value of the first block whose scale is infinite or NaN.
pub fn first_not_finite(data: &[u8]) -> Option<usize> {
    let blocks = data.as_chunks::<BLOCK_BYTES>().0;
    blocks.iter().position(|block| !block_scale(block).is_finite()).map(|block| block * BLOCK)
}

/// Decodes a block. Each half of it has 64 bytes of low bits, 32 bytes of high bits and 8 group scales. The
/// values of quarter `q` of a half have their low four bits in the lower (`q < 2`) or upper four bits of one
/// half of the low bytes, and their high two bits in bits `2q` and `2q + 1` of the high bytes.
fn expand(block: &[u8; BLOCK_BYTES], out: &mut [f32; BLOCK]) {
    let d = block_scale(block);
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    for (half, out) in out.chunks_exact_mut(128).enumerate() {
        let (low, high, scales) = (&low[64 * half..][..64], &high[32 * half..][..32], &scales[8 * half..]);
        for (q, out) in out.chunks_exact_mut(32).enumerate() {
            let (low, shift) = (&low[32 * (q % 2)..][..32], 4 * (q / 2));
            for (i, value) in out.iter_mut().enumerate() {
                let bits = (low[i] >> shift) & 15 | ((high[i] >> (2 * q)) & 3) << 4;
                let group = d * f32::from(scales[2 * q + i / 16] as i8);
                *value = group * (f32::from(bits) - 32.0);
            }
        }
    }
}

fn block_scale(block: &[u8; BLOCK_BYTES]) -> f32 {
    f16::from_le_bytes([block[BLOCK_BYTES - 2], block[BLOCK_BYTES - 1]]).to_f32()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a block of arbitrary bytes with a finite scale.
    fn known() -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..BLOCK_BYTES).map(|i| ((i * 73 + 41 + i * i / 7) % 256) as u8).collect();
        bytes[BLOCK_BYTES - 2..].copy_from_slice(&[0x4C, 0x22]);
        bytes
    }

    /// The expected values were computed by the Python package `gguf`.
    #[test]
    fn known_values() {
        let mut out = [0.0; BLOCK];
        read(&known(), 0, &mut out);
        #[rustfmt::skip]
        let expected = [
            (0, 0xC129_6CE0), (1, 0x41D9_D520), (31, 0xBFC4_C700), (32, 0x4223_5FD8), (63, 0xBEB0_5000),
            (64, 0xC238_7A90), (95, 0x3E49_8000), (96, 0x4235_2EC8), (127, 0x3D7B_E000), (128, 0xC044_C700),
            (150, 0x3FF4_0100), (177, 0x401B_D900), (200, 0x411D_0740), (223, 0x4085_CF00), (255, 0x40D8_7480),
        ];
        for (i, bits) in expected {
            assert_eq!(out[i].to_bits(), bits, "value {i}");
        }
        assert_eq!(out.iter().fold(0, |all, value| all ^ value.to_bits()), 0x8213_5990);
    }

    #[test]
    fn a_part_begins_at_a_block() {
        let data = [known(), known().iter().map(|byte| byte ^ 0x11).collect(), known()].concat();
        let (mut all, mut part) = ([0.0; 3 * BLOCK], [0.0; 300]);
        read(&data, 0, &mut all);
        read(&data, BLOCK, &mut part);
        assert_eq!(part, all[BLOCK..][..300]);
        assert_ne!(all[..BLOCK], all[BLOCK..2 * BLOCK]);
    }

    #[test]
    fn scales_are_finite() {
        let mut data = [known(), known()].concat();
        assert_eq!(first_not_finite(&data), None);
        data[2 * BLOCK_BYTES - 1] = 0x7E;
        assert_eq!(first_not_finite(&data), Some(BLOCK));
    }
}
