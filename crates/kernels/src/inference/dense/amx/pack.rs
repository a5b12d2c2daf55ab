//! Activations as right operands of the tile unit.

use rayon::prelude::*;

use super::{DEPTH, PARTS, SIDE};

pub(super) struct Packed {
    /// For each group of up to 16 tokens, for each step, for each part: 16 pairs of columns x the group's tokens.
    /// A tile's row of padding follows: fewer tokens than 16 are read with whatever comes behind them.
    words: Vec<u32>,
    pub(super) tokens: usize,
    pub(super) steps: usize,
}

impl Packed {
    /// Of `x [tokens, cols]`; columns are padded with zeros to whole steps.
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

    /// The group that starts at token `first`, and what follows it.
    pub(super) fn group(&self, first: usize) -> &[u32] {
        &self.words[first * self.steps * PARTS * SIDE..]
    }
}

fn pack(words: &mut [u32], x: &[f32], cols: usize) {
    let tokens = x.len() / cols;
    for (t, x) in x.chunks_exact(cols).enumerate() {
        for (step, x) in x.chunks(DEPTH).enumerate() {
            for (k, pair) in x.chunks(2).enumerate() {
                let low = parts(pair[0]);
                let high = pair.get(1).map_or([0; PARTS], |x| parts(*x));
                for part in 0..PARTS {
                    let at = (step * PARTS + part) * SIDE + k;
                    words[at * tokens + t] = low[part] >> 16 | high[part];
                }
            }
        }
    }
}

/// Three numbers whose sum is `x` exactly, each with zeros in the lower half of its bits: by cutting off, which unlike
/// rounding never leaves the range.
#[inline(always)]
fn parts(x: f32) -> [u32; PARTS] {
    let cut = |x: f32| x.to_bits() & 0xffff_0000;
    let high = cut(x);
    let rest = x - f32::from_bits(high);
    let middle = cut(rest);
    [high, middle, cut(rest - f32::from_bits(middle))]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn three_parts_are_the_whole(x in prop_oneof![-1e4f32..1e4, -1e-30f32..1e-30, any::<f32>()]) {
            // The least part of the smallest numbers is below what an f32 can hold.
            prop_assume!(x.is_finite() && x.abs() > 1e-30);
            let parts = parts(x).map(|bits| f64::from(f32::from_bits(bits)));
            prop_assert_eq!(parts.iter().sum::<f64>(), f64::from(x));
        }
    }
}
