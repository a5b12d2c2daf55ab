//! Packs activations as right operands of the tile unit.

use half::bf16;
use rayon::prelude::*;

use super::{DEPTH, SIDE};

/// Activations, each split into `PARTS` bf16 numbers: three whose sum is exact, or a single rounded one.
pub(super) struct Packed<const PARTS: usize> {
    /// `[groups of up to 16 tokens][steps][parts]`, each entry a tile of 16 pairs of columns by the tokens of
    /// the group. One row of a tile follows as padding, because a tile of fewer than 16 tokens also reads the
    /// words after its own.
    words: Vec<u32>,
    pub(super) tokens: usize,
    pub(super) steps: usize,
}

impl<const PARTS: usize> Packed<PARTS> {
    /// Packs `x [tokens, cols]`. Columns are padded with zeros to whole steps.
    pub(super) fn new(x: &[f32], cols: usize) -> Self {
        let (tokens, steps) = (x.len() / cols, cols.div_ceil(DEPTH));
        let per_token = steps * PARTS * SIDE;
        let mut words = vec![0; tokens * per_token + SIDE];
        words[..tokens * per_token]
            .par_chunks_mut(SIDE * per_token)
            .zip(x.par_chunks(SIDE * cols))
            .for_each(|(words, x)| pack::<PARTS>(words, x, cols));
        Packed { words, tokens, steps }
    }

    /// Returns the words from the group on that starts at token `first`.
    pub(super) fn group(&self, first: usize) -> &[u32] {
        &self.words[first * self.steps * PARTS * SIDE..]
    }
}

/// Packs one group of tokens.
fn pack<const PARTS: usize>(words: &mut [u32], x: &[f32], cols: usize) {
    let tokens = x.len() / cols;
    for (t, x) in x.chunks_exact(cols).enumerate() {
        for (step, x) in x.chunks(DEPTH).enumerate() {
            for (k, pair) in x.chunks(2).enumerate() {
                let low = split::<PARTS>(pair[0]);
                let high = pair.get(1).map_or([0; PARTS], |x| split::<PARTS>(*x));
                for part in 0..PARTS {
                    let at = (step * PARTS + part) * SIDE + k;
                    words[at * tokens + t] = low[part] >> 16 | high[part];
                }
            }
        }
    }
}

/// Splits `x` into bf16 numbers. Returns their bits as f32, whose lower halves are zero.
///
/// A single number is `x` rounded to the nearest bf16. Of several, all are truncated, because truncation
/// never overflows; the sum of three is exactly `x`.
#[inline(always)]
fn split<const PARTS: usize>(x: f32) -> [u32; PARTS] {
    if PARTS == 1 {
        return [u32::from(round(x).to_bits()) << 16; PARTS];
    }
    let (mut rest, mut parts) = (x, [0; PARTS]);
    for part in &mut parts {
        *part = rest.to_bits() & 0xffff_0000;
        rest -= f32::from_bits(*part);
    }
    parts
}

/// Rounds a finite number to the nearest bf16, and ties to the even one.
#[inline(always)]
pub(super) fn round(x: f32) -> bf16 {
    let bits = x.to_bits();
    bf16::from_bits(((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn three_parts_sum_to_the_number(x in prop_oneof![-1e4f32..1e4, -1e-30f32..1e-30, any::<f32>()]) {
            // For smaller numbers the lowest part is below the range of f32.
            prop_assume!(x.is_finite() && x.abs() > 1e-30);
            let parts = split::<3>(x).map(|bits| f64::from(f32::from_bits(bits)));
            prop_assert_eq!(parts.iter().sum::<f64>(), f64::from(x));
        }

        #[test]
        fn one_part_is_the_nearest_bf16(x in -1e30f32..1e30) {
            prop_assert_eq!(split::<1>(x), [u32::from(bf16::from_f32(x).to_bits()) << 16]);
        }
    }
}
