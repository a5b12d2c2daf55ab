//! Reads the f16 scales of blocks.

/// The number by which the bits of an f16, read as those of an f32, must be multiplied: 2^112.
const EXPONENTS: f32 = f32::from_bits(0x7780_0000);

/// Returns the f16 value at a position of a block.
///
/// The conversions of the crate `half` ask for the features of the processor each time, or branch, which
/// takes longer than the rest of a block.
#[inline(always)]
pub(super) fn read(block: &[u8], at: usize) -> f32 {
    let bits = u32::from(u16::from_le_bytes([block[at], block[at + 1]]));
    let (sign, magnitude) = ((bits & 0x8000) << 16, (bits & 0x7fff) << 13);
    // The exponent of infinities and NaNs is the largest of both types.
    let value = if bits & 0x7c00 == 0x7c00 {
        magnitude | 0x7f80_0000
    } else {
        (f32::from_bits(magnitude) * EXPONENTS).to_bits()
    };
    f32::from_bits(value | sign)
}

#[cfg(test)]
mod tests {
    use half::f16;

    #[test]
    fn every_f16_is_read_exactly() {
        for bits in 0..=u16::MAX {
            let (read, expected) = (super::read(&bits.to_le_bytes(), 0), f16::from_bits(bits).to_f32());
            assert!(read.to_bits() == expected.to_bits() || read.is_nan() && expected.is_nan(), "{bits:x}");
        }
    }
}
