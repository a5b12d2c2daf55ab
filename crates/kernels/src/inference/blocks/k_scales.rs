//! The six-bit scales and minima of the eight groups of a Q4_K or Q5_K block, in twelve bytes.

/// Returns the scale and the minimum of every group.
#[inline(always)]
pub(super) fn read(packed: &[u8]) -> [(u8, u8); 8] {
    std::array::from_fn(|group| match group {
        0..4 => (packed[group] & 63, packed[group + 4] & 63),
        // The low four bits are in the last four bytes, and the high two bits are above those of the first
        // four groups.
        _ => {
            let low = packed[group + 4];
            (low & 15 | packed[group - 4] >> 6 << 4, low >> 4 | packed[group] >> 6 << 4)
        }
    })
}
