//! Blocks of 32 four-bit integers in 16 bytes. A byte holds an integer of the first half and one of the
//! second.

/// Returns the integers at the start of `packed`, 0 to 15. The loops have fixed lengths, so that they are
/// compiled to vector instructions: a model in full precision decodes its weights at every use.
///
/// # Panics
/// Panics if there are fewer than 16 bytes.
#[inline(always)]
pub(super) fn integers(packed: &[u8]) -> [u8; 32] {
    let packed: &[u8; 16] = packed.first_chunk().expect("a block has 16 bytes of integers");
    let mut integers = [0; 32];
    let (first, second) = integers.split_at_mut(16);
    for ((first, second), byte) in first.iter_mut().zip(second).zip(packed) {
        (*first, *second) = (byte & 15, byte >> 4);
    }
    integers
}
