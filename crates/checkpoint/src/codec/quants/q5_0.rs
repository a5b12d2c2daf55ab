//! Q5_0: an f16 scale and 32 five-bit integers.

use super::{five_bits, half};

/// Decodes a block.
pub(super) fn decode(block: &[u8], out: &mut [f32]) {
    let d = half::read(block, 0);
    for (value, integer) in out.iter_mut().zip(five_bits::integers(&block[2..])) {
        *value = d * (f32::from(integer) - 16.0);
    }
}
