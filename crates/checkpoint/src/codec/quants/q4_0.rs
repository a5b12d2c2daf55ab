//! Q4_0: an f16 scale and 32 four-bit integers.

use super::{four_bits, half};

/// Decodes a block.
pub(super) fn decode(block: &[u8], out: &mut [f32]) {
    let d = half::read(block, 0);
    for (value, integer) in out.iter_mut().zip(four_bits::integers(&block[2..])) {
        *value = d * (f32::from(integer) - 8.0);
    }
}
