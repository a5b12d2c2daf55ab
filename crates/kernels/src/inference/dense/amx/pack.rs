//! Packs activations as right operands of the tile unit.

use rayon::prelude::*;

use super::{DEPTH, PARTS, SIDE};

/// Activations, each split into three bf16 numbers.
pub(super) struct Packed {
    /// `[groups of up to 16 tokens][steps][parts]`, each entry a tile of 16 pairs of columns by the tokens of
    /// the group. One row of a tile follows as padding, because a tile of fewer than 16 tokens also reads the
    /// words after its own.
    words: Vec<u32>,
    pub(super) tokens: usize,
    pub(super) steps: usize,
}

impl Packed {
    /// Packs `x [tokens, cols]`. Columns are padded with zeros to whole steps.
    pub(super) fn new(x: &[f32], cols: usize) -> Packed {
        let (tokens, steps) = (x.len() / cols, cols.div_ceil(DEPTH));
        let per_token = steps * PARTS * SIDE;
        let mut words = vec![0; tokens * per_token + SIDE];
        words[..tokens * per_token]
            .par_chunks_mut(SIDE * per_token)
            .zip(x.par_chunks(SIDE * cols))
            .for_each(|(words, x)| pack(words, x, cols));
        Packed { words, tokens, steps }
    }

    /// Returns the words from the group on that starts at token `first`.
    pub(super) fn group(&self, first: usize) -> &[u32] {
        &self.words[first * self.steps * PARTS * SIDE..]
    }
}

/// Packs one group of tokens.
fn pack(words: &mut [u32], x: &[f32], cols: usize) {
    let tokens = x.len() / cols;
    for (t, x) in x.chunks_exact(cols).enumerate() {
        for (step, x) in x.chunks(DEPTH).enumerate() {
            for (k, pair) in x.chunks(2).enumerate() {
                let low = split(pair[0]);
                let high = pair.get(1).map_or([0; PARTS], |x| split(*x));
                for part in 0..PARTS {
                    let at = (step * PARTS + part) * SIDE + k;
                    words[at * tokens + t] = low[part] >> 16 | high[part];
                }
            }
        }
    }
}

/// Splits `x` into three bf16 numbers whose sum is exactly `x`. Returns their bits as f32, whose lower halves
/// are zero.
///
/// The numbers are truncated, not rounded, because truncation never overflows.
#[inline(always)]
fn split(x: f32) -> [u32; PARTS] {
    let truncate = |x: f32| x.to_bits() & 0xffff_0000;
    let high = truncate(x);
    let rest = x - f32::from_bits(high);
    let middle = truncate(rest);
    [high, middle, truncate(rest - f32::from_bits(middle))]
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
            let parts = split(x).map(|bits| f64::from(f32::from_bits(bits)));
            prop_assert_eq!(parts.iter().sum::<f64>(), f64::from(x));
        }
    }
}
