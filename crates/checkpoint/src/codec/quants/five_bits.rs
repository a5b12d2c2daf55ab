//! Blocks of 32 five-bit integers: four bytes with the fifth bits, then 16 bytes with two integers each.

/// Returns the integers of a block, 0 to 31.
pub(super) fn integers(block: &[u8]) -> [u8; 32] {
    let (high, low) = block.split_at(4);
    let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
    std::array::from_fn(|i| {
        let four = low[i % 16] >> (4 * (i / 16)) & 15;
        four | ((high >> i & 1) as u8) << 4
    })
}
