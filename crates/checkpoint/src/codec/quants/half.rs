//! Reads the f16 scales of blocks.

use half::f16;

/// Returns the f16 value at a position of a block.
pub(super) fn read(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}
