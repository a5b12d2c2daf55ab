//! Codings of ternary and block-quantised values: pure functions between bytes and codes.
//!
//! A ternary code is the weight plus one: 0, 1 or 2. Decoders write 3 where a file holds that invalid code, so
//! that callers can name the place.

pub mod folded;
pub mod i2s;
pub mod q6_k;
pub mod q8_0;
pub mod tq1_0;
pub mod tq2_0;

/// The one value that all scales have, zeros apart; 0 when there are no others.
fn shared_scale(mut scales: impl Iterator<Item = f32>) -> Option<f32> {
    let Some(first) = scales.find(|d| *d != 0.0) else { return Some(0.0) };
    (!first.is_nan() && scales.all(|d| d == 0.0 || d == first)).then_some(first)
}

#[cfg(test)]
mod known {
    /// Codes without a pattern that a wrong order would keep.
    pub(super) fn codes() -> [u8; 256] {
        std::array::from_fn(|i| ((i * 7 + i / 5 * 11 + i * i / 13) % 3) as u8)
    }
}

#[cfg(test)]
mod tests {
    use half::f16;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Folded, all I2_S layouts, TQ2_0, TQ1_0 and back: every step reads what the one before wrote.
        #[test]
        fn codes_survive_every_coding(groups in 1usize..4, blocks in 1usize..3, seed in any::<u64>()) {
            let (rows, cols) = (4 * groups, 256 * blocks);
            let original: Vec<u8> = (0..rows * cols)
                .map(|i| ((seed ^ i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60) as u8 % 3)
                .collect();
            let mut data = folded::encode(rows, cols, |row, out| out.copy_from_slice(&original[row * cols..][..cols]));
            data = i2s::encode(i2s::Layout::X86, rows, cols, |row, out| folded::decode_row(&data, rows, row, out), 0.5);
            for (from, to) in [(0, 1), (1, 2), (2, 0)] {
                let (from, to) = (i2s::Layout::ALL[from], i2s::Layout::ALL[to]);
                data = i2s::encode(to, rows, cols, |row, out| i2s::decode_row(&data, from, row, out), 0.5);
            }
            let mut codes = vec![0; cols];
            let (mut two, mut one) = (Vec::new(), Vec::new());
            for row in 0..rows {
                i2s::decode_row(&data, i2s::Layout::X86, row, &mut codes);
                tq2_0::encode_row(&codes, f16::from_f32(0.5), &mut two);
            }
            for row in 0..rows {
                tq2_0::decode_row(&two, row, &mut codes);
                tq1_0::encode_row(&codes, f16::from_f32(0.5), &mut one);
            }
            for row in 0..rows {
                tq1_0::decode_row(&one, row, &mut codes);
                prop_assert_eq!(&codes, &original[row * cols..][..cols]);
            }
            prop_assert_eq!((tq2_0::scale(&two), tq1_0::scale(&one)), (Some(0.5), Some(0.5)));
        }
    }
}
