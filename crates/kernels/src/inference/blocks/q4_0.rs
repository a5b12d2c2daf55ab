//! Q4_0: an f16 scale and 32 four-bit integers.

use super::{four_bits, half, values_of};

/// Decodes a block.
#[inline(always)]
pub(super) fn decode(block: &[u8], out: &mut [f32]) {
    let d = half::read(block, 0);
    let integers = four_bits::integers(&block[2..]);
    for (value, integer) in values_of(out).iter_mut().zip(&integers) {
        *value = d * (f32::from(*integer) - 8.0);
    }
}
