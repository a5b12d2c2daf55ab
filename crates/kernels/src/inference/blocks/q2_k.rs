//! Q2_K: 256 two-bit integers in sixteen groups of 16. Each group has a four-bit scale and a four-bit
//! minimum, and each block an f16 scale for the scales and one for the minima.

use super::half;

/// Decodes a block: 16 bytes of scales and minima, 64 bytes of integers and the two f16 scales. Each half of
/// the integers takes 32 bytes, and each quarter of a half two bits of each of them.
#[inline(always)]
pub(super) fn decode(block: &[u8], out: &mut [f32]) {
    let (scales, packed) = (&block[..16], &block[16..80]);
    let (d, least) = (half::read(block, 80), half::read(block, 82));
    for (i, value) in out.iter_mut().enumerate() {
        let group = scales[i / 16];
        let (scale, minimum) = (d * f32::from(group & 15), least * f32::from(group >> 4));
        let integer = packed[i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3;
        *value = scale * f32::from(integer) - minimum;
    }
}
