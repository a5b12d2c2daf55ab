//! Q5_K: 256 five-bit integers in eight groups of 32, with the scales of Q4_K.

use super::{half, k_scales};

/// Decodes a block. Bit `g` of 32 bytes is the fifth bit of group `g`, and the others are stored as in Q4_K.
#[inline(always)]
pub(super) fn decode(block: &[u8], out: &mut [f32]) {
    let (d, least) = (half::read(block, 0), half::read(block, 2));
    let (high, packed) = (&block[16..48], &block[48..]);
    let groups = k_scales::read(&block[4..16]);
    for ((group, (scale, minimum)), out) in groups.into_iter().enumerate().zip(out.chunks_exact_mut(32)) {
        let (scale, minimum) = (d * f32::from(scale), least * f32::from(minimum));
        let (bytes, shift) = (&packed[group / 2 * 32..], group % 2 * 4);
        for ((value, byte), high) in out.iter_mut().zip(bytes).zip(high) {
            let integer = byte >> shift & 15 | (high >> group & 1) << 4;
            *value = scale * f32::from(integer) - minimum;
        }
    }
}
