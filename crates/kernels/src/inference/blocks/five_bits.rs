//! Blocks of 32 five-bit integers: four bytes with the fifth bits, then 16 bytes with the other bits.

use super::four_bits;

/// Returns the integers of a block, 0 to 31.
#[inline(always)]
pub(super) fn integers(block: &[u8]) -> [u8; 32] {
    let (high, low) = block.split_at(4);
    let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
    let mut integers = four_bits::integers(low);
    for (i, integer) in integers.iter_mut().enumerate() {
        *integer |= ((high >> i & 1) as u8) << 4;
    }
    integers
}
