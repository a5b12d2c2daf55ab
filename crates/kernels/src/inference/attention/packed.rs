//! Quantised keys or values, which are decoded one row at a time.

use half::f16;

use crate::lanes::{LANES, Lanes, Portable};

/// Keys or values of one KV head: rows of integer codes with one scale and one minimum per group, followed by
/// the newest rows as half floats.
///
/// A value is `code * scale + minimum`.
///
/// The codes of a row fill `row_bytes` bytes. With `b` bits, byte `j` holds the codes of channels `j`,
/// `j + row_bytes` ... `j + (8 / b - 1) * row_bytes`, lowest bits first, so one shift and one mask decode
/// neighbouring channels.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// Number of values in a row.
    pub width: usize,
    /// Number of bits in a code: 2, 4 or 8.
    pub bits: usize,
    /// Number of consecutive rows that share scales and minima.
    pub token_group: usize,
    /// Number of neighbouring channels that share scales and minima. The last group of a row may be smaller.
    pub channel_group: usize,
    /// Codes, `[coded rows, row_bytes]`, in whole groups of rows.
    pub codes: &'a [u8],
    /// Scales, `[coded rows / token_group, groups of channels]`.
    pub scales: &'a [f16],
    /// Minima, in the shape of the scales.
    pub minima: &'a [f16],
    /// The rows after the coded rows, `[newest rows, width]`.
    pub newest: &'a [f16],
}

impl Packed<'_> {
    /// Returns the number of bytes that the codes of a row take.
    pub fn row_bytes(width: usize, bits: usize) -> usize {
        (width * bits).div_ceil(8)
    }

    /// Returns the number of rows that are stored as codes.
    pub fn coded_rows(&self) -> usize {
        self.codes.len() / Packed::row_bytes(self.width, self.bits)
    }

    /// Returns the number of all rows.
    pub fn rows(&self) -> usize {
        self.coded_rows() + self.newest.len() / self.width
    }

    /// Writes a row as f32 to the start of `to`.
    ///
    /// # Panics
    /// Panics if the row does not exist or does not fit into `to`.
    pub fn row(&self, row: usize, to: &mut [f32]) {
        // SAFETY: plain code needs no special instructions.
        unsafe { self.load::<Portable>(row, to) }
    }

    /// Does the same as [`Packed::row`] with the instructions of `L`. All instruction sets give the same
    /// bits.
    ///
    /// # Safety
    /// The machine must have the instructions of `L`.
    #[inline(always)]
    pub(super) unsafe fn load<L: Lanes>(&self, row: usize, to: &mut [f32]) {
        let (width, coded) = (self.width, self.coded_rows());
        let to = &mut to[..width];
        if row >= coded {
            let halves = &self.newest[(row - coded) * width..][..width];
            // SAFETY: the caller upholds the contract.
            return unsafe {
                crate::inference::dense::convert(to, halves, |at| L::load_f16(at), f16::to_f32)
            };
        }
        self.unpack(row, to);
        let groups = width.div_ceil(self.channel_group);
        let at = row / self.token_group * groups;
        let (scales, minima) = (&self.scales[at..][..groups], &self.minima[at..][..groups]);
        if self.channel_group == 1 {
            // SAFETY: the caller upholds the contract.
            return unsafe { scale_channels::<L>(to, scales, minima) };
        }
        for (to, (scale, minimum)) in to.chunks_mut(self.channel_group).zip(scales.iter().zip(minima)) {
            let (scale, minimum) = (scale.to_f32(), minimum.to_f32());
            to.iter_mut().for_each(|x| *x = *x * scale + minimum);
        }
    }

    /// Writes the codes of a row as floats.
    #[inline(always)]
    fn unpack(&self, row: usize, to: &mut [f32]) {
        let bytes = Packed::row_bytes(self.width, self.bits);
        let codes = &self.codes[row * bytes..][..bytes];
        let mask = (0xffu8) >> (8 - self.bits);
        for (part, to) in to.chunks_mut(bytes).enumerate() {
            let shift = part * self.bits;
            to.iter_mut().zip(codes).for_each(|(x, byte)| *x = f32::from((byte >> shift) & mask));
        }
    }
}

/// Scales each channel by its own scale and minimum. The multiply-add is not fused, so that all instruction
/// sets agree.
///
/// # Safety
/// The machine must have the instructions of `L`.
#[inline(always)]
unsafe fn scale_channels<L: Lanes>(to: &mut [f32], scales: &[f16], minima: &[f16]) {
    let whole = to.len() / LANES * LANES;
    for i in (0..whole).step_by(LANES) {
        let (to, scales, minima) = (&mut to[i..i + LANES], &scales[i..i + LANES], &minima[i..i + LANES]);
        // SAFETY: 16 values from here on are inside all three slices.
        unsafe {
            let scaled = L::load(to.as_ptr()).mul(L::load_f16(scales.as_ptr()));
            scaled.add(L::load_f16(minima.as_ptr())).store(to.as_mut_ptr());
        }
    }
    for i in whole..to.len() {
        to[i] = to[i] * scales[i].to_f32() + minima[i].to_f32();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{
        tests::{Case, levels},
        *,
    };

    /// Random codes, and their values, which the test decodes one by one.
    struct Coded {
        codes: Vec<u8>,
        scales: Vec<f16>,
        minima: Vec<f16>,
        newest: Vec<f16>,
        floats: Vec<f32>,
    }

    impl Coded {
        fn random(rows: [usize; 2], width: usize, bits: usize, groups: [usize; 2], seed: u64) -> Coded {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                state >> 33
            };
            let ([coded, newest], [token_group, channel_group]) = (rows, groups);
            let (bytes, row_groups) = ((width * bits).div_ceil(8), width.div_ceil(channel_group));
            let mut halves = |n: usize, step: f32| -> Vec<f16> {
                (0..n).map(|_| f16::from_f32((next() % 1000) as f32 * step)).collect()
            };
            let (scales, minima) = (
                halves(coded / token_group * row_groups, 1e-4),
                halves(coded / token_group * row_groups, 1e-3),
            );
            let newest = halves(newest * width, 1e-3);
            let mut codes = vec![0u8; coded * bytes];
            let mut floats = Vec::new();
            for (row, c) in (0..coded).flat_map(|row| (0..width).map(move |c| (row, c))) {
                let code = (next() % (1 << bits)) as u8;
                codes[row * bytes + c % bytes] |= code << (bits * (c / bytes));
                let group = row / token_group * row_groups + c / channel_group;
                floats.push(f32::from(code) * scales[group].to_f32() + minima[group].to_f32());
            }
            floats.extend(newest.iter().map(|h| h.to_f32()));
            Coded { codes, scales, minima, newest, floats }
        }

        fn packed(&self, width: usize, bits: usize, [token_group, channel_group]: [usize; 2]) -> Packed<'_> {
            let Coded { codes, scales, minima, newest, .. } = self;
            Packed { width, bits, token_group, channel_group, codes, scales, minima, newest }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn codes_are_read_like_their_decoded_floats(
            tokens in 1usize..20, offset in 0usize..70, half in 1usize..70, power in 1u32..4, token_group in 1usize..9,
            channel_group in 1usize..40, newest in 0usize..80, seed: u64,
        ) {
            let (width, bits, rows) = (2 * half, 1 << power, offset + tokens);
            let coded = rows.saturating_sub(newest) / token_group * token_group;
            // Keys are grouped by tokens, values by channels.
            let (key_groups, value_groups) = ([token_group, 1], [1, channel_group]);
            let keys = Coded::random([coded, rows - coded], width, bits, key_groups, seed);
            let values = Coded::random([coded, rows - coded], width, bits, value_groups, !seed);
            let case = Case::random(tokens, offset, 2, width, seed);
            let floats =
                Input { keys: Floats::F32(&keys.floats), values: Floats::F32(&values.floats), ..case.input(false) };
            let packed = Input {
                keys: Floats::Packed(keys.packed(width, bits, key_groups)),
                values: Floats::Packed(values.packed(width, bits, value_groups)),
                ..floats
            };
            prop_assert_eq!(packed.keys.to_f32_vec(), keys.floats.clone());
            prop_assert_eq!(packed.values.len(), values.floats.len());
            for level in levels() {
                let (mut a, mut b) = (vec![0.0; case.queries.len()], vec![0.0; case.queries.len()]);
                attend_at(level, &floats, &mut a, None);
                attend_at(level, &packed, &mut b, None);
                prop_assert_eq!(a, b, "{:?}", level);
            }
        }
    }
}
