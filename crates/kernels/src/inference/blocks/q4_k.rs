//! Q4_K: 256 four-bit integers in eight groups of 32. Each group has a six-bit scale and a six-bit minimum,
//! and each block an f16 scale for the scales and one for the minima.

use super::{half, k_scales};

/// Decodes a block. Two groups share 32 bytes: the first has the lower four bits of each.
#[inline(always)]
pub(super) fn decode(block: &[u8], out: &mut [f32]) {
    let (d, least, packed) = (half::read(block, 0), half::read(block, 2), &block[16..]);
    let groups = k_scales::read(&block[4..16]);
    for ((group, (scale, minimum)), out) in groups.into_iter().enumerate().zip(out.chunks_exact_mut(32)) {
        let (scale, minimum) = (d * f32::from(scale), least * f32::from(minimum));
        let (bytes, shift) = (&packed[group / 2 * 32..], group % 2 * 4);
        for (value, byte) in out.iter_mut().zip(bytes) {
            *value = scale * f32::from(byte >> shift & 15) - minimum;
        }
    }
}
