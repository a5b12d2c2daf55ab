//! Q4_1: an f16 scale, an f16 minimum and 32 four-bit integers.

use super::half;

/// Decodes a block. A byte holds a value of the first half and a value of the second.
pub(super) fn decode(block: &[u8], out: &mut [f32]) {
    let (d, least, packed) = (half::read(block, 0), half::read(block, 2), &block[4..]);
    for (i, value) in out.iter_mut().enumerate() {
        *value = d * f32::from(packed[i % 16] >> (4 * (i / 16)) & 15) + least;
    }
}
