//! RMS norm with an f32 or an int8 result.

use rayon::prelude::*;

use super::task_rows;
use crate::{
    inference::ternary::{Quantized, QuantizedRow, absmax, magnitude_bits, to_int8},
    simd::dispatch,
};

/// An RMS norm: `y = weight * x / sqrt(mean(x^2) + eps)`.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Factor of each feature, `[width]`.
    pub weight: &'a [f32],
    /// Added to the mean of the squares.
    pub eps: f64,
}

impl Norm<'_> {
    /// Writes the norm of `x [tokens, width]` to `out`.
    ///
    /// # Panics
    /// Panics if the lengths differ or are not whole tokens.
    pub fn apply(&self, x: &[f32], out: &mut [f32]) {
        let width = self.width(x);
        assert_eq!(x.len(), out.len(), "the output is as long as the input");
        let rows = out.par_chunks_exact_mut(width).zip(x.par_chunks_exact(width));
        let norm_row = |(out, x): (&mut [f32], &[f32])| scale(x, self.weight, factor(x, self.eps), out);
        rows.with_min_len(task_rows(width)).for_each(norm_row);
    }

    /// Writes the quantised norm of `x [tokens, width]` to `out`. The integers and scales equal those of
    /// [`Quantized::new`] for the result of [`Norm::apply`].
    ///
    /// # Panics
    /// Panics if `x` does not hold whole tokens.
    pub fn quantise(&self, x: &[f32], out: &mut Quantized) {
        let width = self.width(x);
        out.reset(x.len() / width, width);
        let rows = x.par_chunks_exact(width).zip(out.rows_mut());
        rows.with_min_len(task_rows(width)).for_each(|(x, row)| self.quantise_row(x, row));
    }

    /// Quantises the norm of one token.
    pub(super) fn quantise_row(&self, x: &[f32], row: QuantizedRow<'_>) {
        assert_eq!(x.len(), row.values.len(), "a token has as many activations as the layer columns");
        (*row.scale, *row.sum) = scale_quantised(x, self.weight, factor(x, self.eps), row.values);
    }

    /// Returns the number of features, which must divide the length of `x`.
    fn width(&self, x: &[f32]) -> usize {
        let width = self.weight.len();
        assert!(width > 0 && x.len().is_multiple_of(width), "activations are [tokens, {width}]");
        width
    }
}

/// Returns `1 / sqrt(mean(x^2) + eps)`.
fn factor(x: &[f32], eps: f64) -> f32 {
    1.0 / (sum_of_squares(x) / x.len() as f64 + eps).sqrt() as f32
}

dispatch! {
/// Returns the sum of squares in f64, because after a squared ReLU the squares can exceed the range of f32
/// although the values do not.
fn sum_of_squares(x: &[f32]) -> f64 {
    let mut sums = [0.0f64; 32];
    let chunks = x.chunks_exact(32);
    for (sum, v) in sums.iter_mut().zip(chunks.remainder()) {
        *sum = f64::from(*v) * f64::from(*v);
    }
    for chunk in chunks {
        for i in 0..32 {
            sums[i] += f64::from(chunk[i]) * f64::from(chunk[i]);
        }
    }
    sums.iter().sum()
}
}

dispatch! {
/// Writes `weight * (x * factor)` to `out`.
fn scale(x: &[f32], weight: &[f32], factor: f32, out: &mut [f32]) {
    for ((y, x), w) in out.iter_mut().zip(x).zip(weight) {
        *y = w * (x * factor);
    }
}
}

dispatch! {
/// Does in one pass what [`scale`] and then
/// [`quantize_activations`](crate::inference::ternary::quantize_activations) do. Returns the scale and the
/// sum of the integers.
fn scale_quantised(x: &[f32], weight: &[f32], factor: f32, out: &mut [i8]) -> (f32, i32) {
    let (weight, out) = (&weight[..x.len()], &mut out[..x.len()]);
    let mut largest = [0u32; 32];
    let whole = x.len() / 32 * 32;
    for start in (0..whole).step_by(32) {
        let (x, w) = (&x[start..start + 32], &weight[start..start + 32]);
        for i in 0..32 {
            largest[i] = largest[i].max(magnitude_bits(w[i] * (x[i] * factor)));
        }
    }
    for i in whole..x.len() {
        largest[i - whole] = largest[i - whole].max(magnitude_bits(weight[i] * (x[i] * factor)));
    }
    let absmax = absmax(&largest);
    let scale = 127.0 / absmax;
    let mut sum = 0;
    for i in 0..x.len() {
        let value = to_int8((weight[i] * (x[i] * factor)) * scale);
        out[i] = value as i8;
        sum += value;
    }
    (absmax / 127.0, sum)
}
}
