//! Q4_0: an f16 scale and 32 four-bit integers.

use super::half;

/// Decodes a block. A byte holds a value of the first half and a value of the second.
pub(super) fn decode(block: &[u8], out: &mut [f32]) {
    let (d, packed) = (half::read(block, 0), &block[2..]);
    for (i, value) in out.iter_mut().enumerate() {
        *value = d * (f32::from(packed[i % 16] >> (4 * (i / 16)) & 15) - 8.0);
    }
}
