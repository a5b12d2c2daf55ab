//! Int8 activations, with a scale from the largest magnitude (absmax) of each token.

use rayon::prelude::*;

use super::{GROUP, TILE};
use crate::{aligned::Aligned, simd::dispatch};

/// Int8 activations, `[tokens, cols]`, with one scale per token that converts its integers to activations.
///
/// Rows are padded so that kernels can read whole tiles. [`Quantized::fill`] reuses the buffers.
#[derive(Clone, Debug, Default)]
pub struct Quantized {
    tokens: usize,
    cols: usize,
    values: Aligned,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

/// One token of a [`Quantized`], to be written.
#[derive(Debug)]
pub struct QuantizedRow<'a> {
    /// Integers, `[cols]`.
    pub values: &'a mut [i8],
    /// Factor that converts the integers to activations.
    pub scale: &'a mut f32,
    /// Sum of the integers.
    pub sum: &'a mut i32,
}

impl QuantizedRow<'_> {
    /// Quantises the activations of one token with [`quantize_activations`].
    ///
    /// # Panics
    /// Panics if `x` does not have `cols` values.
    pub fn set(self, x: &[f32]) {
        assert_eq!(x.len(), self.values.len(), "a token has as many activations as the layer columns");
        (*self.scale, *self.sum) = quantize_activations(x, self.values);
    }
}

impl Quantized {
    /// Quantises each token of `x [tokens, cols]`.
    ///
    /// # Panics
    /// Panics if `x` does not hold whole tokens.
    pub fn new(x: &[f32], cols: usize) -> Self {
        let mut quantized = Quantized::default();
        quantized.fill(x, cols);
        quantized
    }

    /// Quantises each token of `x [tokens, cols]` and reuses the buffers.
    ///
    /// # Panics
    /// Panics if `x` does not hold whole tokens.
    pub fn fill(&mut self, x: &[f32], cols: usize) {
        assert!(cols > 0 && x.len().is_multiple_of(cols), "activations are [tokens, {cols}]");
        self.reset(x.len() / cols, cols);
        self.rows_mut().zip(x.par_chunks_exact(cols)).for_each(|(row, x)| row.set(x));
    }

    /// Resizes the buffers to `tokens` tokens of `cols` activations. Their values are unspecified.
    pub fn reset(&mut self, tokens: usize, cols: usize) {
        (self.tokens, self.cols) = (tokens, cols);
        self.values.reserve(tokens.next_multiple_of(GROUP) * self.stride());
        self.scales.resize(tokens, 0.0);
        self.sums.resize(tokens, 0);
    }

    /// Returns the tokens as mutable rows. The caller [sets](QuantizedRow::set) each row or writes its
    /// fields.
    pub fn rows_mut(&mut self) -> impl IndexedParallelIterator<Item = QuantizedRow<'_>> {
        let (stride, cols) = (self.stride(), self.cols);
        let rows = self.values.par_chunks_exact_mut(stride).zip(&mut self.scales).zip(&mut self.sums);
        // With fewer rows, a task would not be worth its scheduling.
        rows.with_min_len(8).map(move |((values, scale), sum)| QuantizedRow {
            values: signed_mut(&mut values[..cols]),
            scale,
            sum,
        })
    }

    /// Returns the number of tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Returns the number of activations of a token.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Returns the integers of a token, `[cols]`.
    ///
    /// # Panics
    /// Panics if the token does not exist.
    pub fn values(&self, token: usize) -> &[i8] {
        assert!(token < self.tokens, "token {token} of {}", self.tokens);
        signed(&self.values[token * self.stride()..][..self.cols])
    }

    /// Returns the scale of each token, `[tokens]`.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// Returns the sum of each token's integers, `[tokens]`.
    pub(super) fn sums(&self) -> &[i32] {
        &self.sums
    }

    /// Returns the distance between tokens in bytes. It is an odd number of cache lines, so that 16 tokens
    /// never share a cache set.
    pub(super) fn stride(&self) -> usize {
        (self.cols.div_ceil(TILE) | 1) * TILE
    }

    /// Returns a pointer to the integers of the first token. Rows up to the next multiple of 16 tokens can be
    /// read.
    pub(super) fn as_ptr(&self) -> *const i8 {
        self.values.as_ptr().cast()
    }
}

/// Returns the bytes as signed numbers.
fn signed(bytes: &[u8]) -> &[i8] {
    // SAFETY: the two types have the same size and alignment, and no invalid values.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

/// Returns the bytes as mutable signed numbers.
fn signed_mut(bytes: &mut [u8]) -> &mut [i8] {
    // SAFETY: as in `signed`; the result borrows the bytes mutably.
    unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) }
}

/// Adding this number to a small f32 leaves the nearest integer, ties to even, in the low bits.
const MAGIC: f32 = 12_582_912.0;

/// Returns the integer in -128 to 127 that is nearest to `x`. A cast from float to integer would be five
/// times slower, because it also handles values that cannot occur here.
#[inline(always)]
pub(crate) fn to_int8(x: f32) -> i32 {
    ((x + MAGIC).to_bits() as i32 - MAGIC.to_bits() as i32).clamp(-128, 127)
}

/// Returns the bits of `|x|`. As integers they are in the order of the magnitudes, and NaN is the largest.
#[inline(always)]
pub(crate) fn magnitude_bits(x: f32) -> u32 {
    x.to_bits() & (u32::MAX >> 1)
}

/// Returns the largest magnitude of a token, at least 1e-5, from the bits of running maxima. It is infinite
/// or NaN if an activation is, so that the products of such a token are not finite either.
#[inline(always)]
pub(crate) fn absmax(largest: &[u32]) -> f32 {
    f32::from_bits(largest.iter().fold(1e-5f32.to_bits(), |a, &b| a.max(b)))
}

dispatch! {
/// Quantises one token's activations to int8:
/// `q = clamp(round_half_even(x * 127 / max(max|x|, 1e-5)), -128, 127)`.
///
/// Returns the factor that converts `q` to activations, `max(max|x|, 1e-5) / 127`, and the sum of `q`. This
/// is the formula of `ActQuant` in transformers, `integrations/bitnet.py`.
///
/// # Panics
/// Panics if `out` is shorter than `row`.
pub fn quantize_activations(row: &[f32], out: &mut [i8]) -> (f32, i32) {
    let out = &mut out[..row.len()];
    // There are many running maxima, so that no iteration waits for the result of the previous one.
    let mut largest = [0u32; 32];
    let chunks = row.chunks_exact(32);
    for (i, x) in chunks.remainder().iter().enumerate() {
        largest[i] = magnitude_bits(*x);
    }
    for chunk in chunks {
        for i in 0..32 {
            largest[i] = largest[i].max(magnitude_bits(chunk[i]));
        }
    }
    let absmax = absmax(&largest);
    let scale = 127.0 / absmax;
    let mut sum = 0;
    for i in 0..row.len() {
        let value = to_int8(row[i] * scale);
        out[i] = value as i8;
        sum += value;
    }
    (absmax / 127.0, sum)
}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ties_go_to_even() {
        let mut out = [0; 6];
        let row = [127.0, 0.5, 1.5, 2.5, -0.5, -1.5];
        assert_eq!(quantize_activations(&row, &mut out), (1.0, 129));
        assert_eq!(out, [127, 0, 2, 2, 0, -2]);
    }

    #[test]
    fn rows_of_zeros_and_of_tiny_numbers_stay_finite() {
        let mut out = [1; 3];
        assert_eq!(quantize_activations(&[0.0; 3], &mut out), (1e-5 / 127.0, 0));
        assert_eq!(out, [0; 3]);
        assert!(quantize_activations(&[1e-30, -1e-38, 0.0], &mut out).0 > 0.0);
        assert_eq!(out, [0; 3]);
    }

    #[test]
    fn the_scale_of_a_token_shows_that_it_is_not_finite() {
        for place in [0, 31, 32, 69] {
            let (mut row, mut out) = ([1.0; 70], [0; 70]);
            row[place] = f32::NAN;
            assert!(quantize_activations(&row, &mut out).0.is_nan(), "{place}");
            row[place] = f32::NEG_INFINITY;
            assert_eq!(quantize_activations(&row, &mut out).0, f32::INFINITY, "{place}");
        }
    }

    #[test]
    fn buffers_are_reused_for_other_shapes() {
        let mut quantized = Quantized::new(&[1.0; 300], 100);
        for (tokens, cols) in [(40, 7), (1, 900), (3, 100)] {
            let x: Vec<f32> = (0..tokens * cols).map(|i| (i % 31) as f32 - 15.0).collect();
            quantized.fill(&x, cols);
            assert_eq!((quantized.tokens(), quantized.cols()), (tokens, cols));
            for (token, x) in x.chunks(cols).enumerate() {
                let mut expected = vec![0; cols];
                let (scale, sum) = quantize_activations(x, &mut expected);
                assert_eq!(quantized.values(token), expected);
                assert_eq!((quantized.scales()[token], quantized.sums()[token]), (scale, sum));
            }
        }
    }

    proptest! {
        #[test]
        fn results_match_the_definition(row in prop::collection::vec(-1e6f32..1e6, 1..200)) {
            let mut out = vec![0; row.len()];
            let (back, sum) = quantize_activations(&row, &mut out);
            let absmax = row.iter().fold(1e-5f32, |a, x| a.max(x.abs()));
            prop_assert_eq!(back, absmax / 127.0);
            prop_assert_eq!(sum, out.iter().map(|q| i32::from(*q)).sum::<i32>());
            let s = 127.0 / absmax;
            for (x, q) in row.iter().zip(&out) {
                prop_assert_eq!(f32::from(*q), (x * s).round_ties_even().clamp(-128.0, 127.0));
            }
        }
    }
}
