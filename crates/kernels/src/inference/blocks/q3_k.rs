//! Q3_K: 256 three-bit integers in sixteen groups of 16. Each group has a six-bit scale and each block an f16
//! scale.

use super::half;

/// Decodes a block: 32 bytes with the third bits, 64 bytes with two bits of each integer, 12 bytes of scales
/// and the f16 scale. Each half of the integers takes 32 bytes, and each quarter of a half two bits of each
/// of them. An integer without its third bit is 4 less.
#[inline(always)]
pub(super) fn decode(block: &[u8], out: &mut [f32]) {
    let (high, low, packed, d) = (&block[..32], &block[32..96], &block[96..108], half::read(block, 108));
    let scales: [f32; 16] = std::array::from_fn(|group| d * (f32::from(scale(packed, group)) - 32.0));
    for (i, value) in out.iter_mut().enumerate() {
        let two = low[i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3;
        let third = high[i % 32] >> (i / 32) & 1;
        *value = scales[i / 16] * (f32::from(two) - if third == 1 { 0.0 } else { 4.0 });
    }
}

/// Returns the scale of a group, 0 to 63. The first eight bytes hold the low four bits of two scales each,
/// and the last four bytes the high two bits of four scales each.
fn scale(packed: &[u8], group: usize) -> u8 {
    let low = packed[group % 8] >> (4 * (group / 8)) & 15;
    let high = packed[8 + group % 4] >> (2 * (group / 4)) & 3;
    low | high << 4
}
