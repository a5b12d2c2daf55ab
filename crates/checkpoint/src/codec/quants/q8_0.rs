//! Q8_0: an f16 scale and 32 int8 values.

use super::half;

/// Decodes a block.
pub(super) fn decode(block: &[u8], out: &mut [f32]) {
    let d = half::read(block, 0);
    out.iter_mut().zip(&block[2..]).for_each(|(value, byte)| *value = d * f32::from(*byte as i8));
}
