//! Q8_0: an f16 scale and 32 int8 values.

use super::{half, values_of};

/// Decodes a block.
#[inline(always)]
pub(super) fn decode(block: &[u8], out: &mut [f32]) {
    let d = half::read(block, 0);
    let bytes: &[u8; 32] = block[2..].first_chunk().expect("a block has 32 integers");
    for (value, byte) in values_of(out).iter_mut().zip(bytes) {
        *value = d * f32::from(*byte as i8);
    }
}
