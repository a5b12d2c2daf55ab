//! Splits each activation of a token into two int8 numbers.

use crate::aligned::Aligned;

/// The integer to which the largest activation is scaled: `128 * 127`.
const LARGEST: f64 = 16_256.0;

/// The activations of one token in the form `scale * (128 * high + low)`, padded with zeros.
pub(super) struct Activations {
    /// The high numbers, from -127 to 127, and the low numbers, from -64 to 63, `[2, stride]`.
    values: Aligned,
    stride: usize,
    /// Factor that converts integers to activations; NaN if an activation is not finite.
    pub(super) scale: f64,
    /// The norm of the activations.
    pub(super) norm: f64,
    /// The norm of the rounding error of the activations.
    pub(super) error: f64,
}

impl Activations {
    /// Rounds the activations of one token.
    pub(super) fn new(x: &[f32], stride: usize) -> Activations {
        let mut values = Aligned::zeroed(2 * stride);
        let norm = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        if !norm.is_finite() {
            return Activations { values, stride, scale: f64::NAN, norm, error: norm };
        }
        let largest = x.iter().fold(0.0f32, |a, x| a.max(x.abs()));
        let scale = f64::from(largest) / LARGEST;
        let mut squares = 0.0;
        let (high, low) = values.split_at_mut(stride);
        for ((x, high), low) in x.iter().zip(high).zip(low) {
            let x = f64::from(*x);
            let whole = if scale > 0.0 { (x / scale).round().clamp(-LARGEST, LARGEST) as i32 } else { 0 };
            let upper = (whole + 64) >> 7;
            (*high, *low) = (upper as u8, (whole - 128 * upper) as u8);
            squares += (x - scale * f64::from(whole)).powi(2);
        }
        Activations { values, stride, scale, norm, error: squares.sqrt() }
    }

    /// Returns the high and the low integers, `[stride]` each.
    pub(super) fn parts(&self) -> [&[i8]; 2] {
        let (high, low) = self.values.split_at(self.stride);
        [high, low].map(signed)
    }
}

/// Returns the bytes as signed numbers.
pub(super) fn signed(bytes: &[u8]) -> &[i8] {
    // SAFETY: the two types have the same size and alignment, and no invalid values.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}
