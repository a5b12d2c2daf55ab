//! Absmax int8 activations.

use crate::simd::dispatch;

/// Adding and subtracting it rounds a small f32 to the nearest integer, ties to even.
const MAGIC: f32 = 12_582_912.0;

dispatch! {
/// One token's activations as int8: `q = clamp(round_half_even(x * 127 / max(max|x|, 1e-5)), -128, 127)`.
///
/// Returns the factor that turns `q` back into activations, `max(max|x|, 1e-5) / 127`
/// (transformers, `integrations/bitnet.py`, `ActQuant`).
///
/// # Panics
/// When `out` is shorter than `row`.
pub fn quantize_activations(row: &[f32], out: &mut [i8]) -> f32 {
    let out = &mut out[..row.len()];
    // Eight running maxima, so that the loop has no chain.
    let mut largest = [0.0f32; 32];
    let chunks = row.chunks_exact(32);
    for (i, x) in chunks.remainder().iter().enumerate() {
        largest[i] = x.abs();
    }
    for chunk in chunks {
        for i in 0..32 {
            let x = chunk[i].abs();
            largest[i] = if x > largest[i] { x } else { largest[i] };
        }
    }
    let absmax = largest.iter().fold(1e-5f32, |a, &b| if b > a { b } else { a });
    let scale = 127.0 / absmax;
    for i in 0..row.len() {
        let rounded = (row[i] * scale + MAGIC) - MAGIC;
        out[i] = rounded.clamp(-128.0, 127.0) as i32 as i8;
    }
    absmax / 127.0
}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ties_go_to_even() {
        let mut out = [0; 6];
        let scale = quantize_activations(&[127.0, 0.5, 1.5, 2.5, -0.5, -1.5], &mut out);
        assert_eq!((out, scale), ([127, 0, 2, 2, 0, -2], 1.0));
    }

    #[test]
    fn zeros_and_tiny_rows_stay_finite() {
        let mut out = [1; 3];
        assert_eq!(quantize_activations(&[0.0; 3], &mut out), 1e-5 / 127.0);
        assert_eq!(out, [0; 3]);
        assert!(quantize_activations(&[1e-30, -1e-38, 0.0], &mut out) > 0.0);
        assert_eq!(out, [0; 3]);
    }

    proptest! {
        #[test]
        fn matches_the_definition(row in prop::collection::vec(-1e6f32..1e6, 1..200)) {
            let mut out = vec![0; row.len()];
            let back = quantize_activations(&row, &mut out);
            let absmax = row.iter().fold(1e-5f32, |a, x| a.max(x.abs()));
            prop_assert_eq!(back, absmax / 127.0);
            let s = 127.0 / absmax;
            for (x, q) in row.iter().zip(&out) {
                prop_assert_eq!(f32::from(*q), (x * s).round_ties_even().clamp(-128.0, 127.0));
            }
        }
    }
}
