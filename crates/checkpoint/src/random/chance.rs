//! Numbers by chance, the same for the same seed.

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(super) struct Chance(u64);

impl Chance {
    /// A sequence of its own for each part of each tensor, so that parts may be made in any order.
    pub(super) fn of(seed: u64, tensor: &str, part: usize) -> Chance {
        // FNV-1a (Fowler, Noll and Vo).
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        let bytes = tensor.bytes().chain(seed.to_le_bytes()).chain((part as u64).to_le_bytes());
        let mut chance = Chance(bytes.fold(0xCBF2_9CE4_8422_2325, mix));
        Chance(chance.next())
    }

    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Mean 0 and variance 1: a sum of four uniform numbers.
    #[inline]
    pub(super) fn near_normal(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|i| (bits >> (16 * i)) & 0xFFFF).sum();
        (sum as f32 / 65_536.0 - 2.0) * 3f32.sqrt()
    }
}
