//! Q6_K: 256 six-bit integers in sixteen groups of 16. Each group has an int8 scale and each block an f16
//! scale.

use super::half;

/// Decodes a block: 128 bytes of low bits, 64 of high bits, 16 group scales, and the block's scale. Each half
/// of it has 64 bytes of low bits, 32 bytes of high bits and 8 group scales. The values of quarter `q` of a
/// half have their low four bits in the lower (`q < 2`) or upper four bits of one half of the low bytes, and
/// their high two bits at bit `2 * q` of the high bytes.
#[inline(always)]
pub(super) fn decode(block: &[u8], out: &mut [f32]) {
    let d = half::read(block, 208);
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
