//! The two quantisers of a BitNet: ternary weights and int8 activations. Their integers are stored as f32 and
//! are exact in bf16.

use rayon::prelude::*;

use crate::simd::dispatch;
use crate::vector::{max_abs, sum_abs};

/// Number of rows in a task.
const ROWS: usize = 64;
/// The lower bound of the absmax and of the absmean, as in the reference quantisers.
const FLOOR: f32 = 1e-5;

/// Int8 activations with one scale per row: `x ~ values * scales[row]`.
#[derive(Debug)]
pub struct Activations {
    /// Integers from -128 to 127, `[rows, width]`.
    pub values: Vec<f32>,
    /// `max |x| / 127` of each row, `[rows]`.
    pub scales: Vec<f32>,
}

/// Quantises each row of `x [rows, width]` to int8 by its absmax, rounding ties to even.
pub fn quantize_activations(x: &[f32], width: usize) -> Activations {
    let rows = x.len() / width;
    let (mut values, mut scales) = (vec![0.0; x.len()], vec![0.0; rows]);
    values
        .par_chunks_mut(ROWS * width)
        .zip(scales.par_chunks_mut(ROWS))
        .zip(x.par_chunks(ROWS * width))
        .for_each(|((values, scales), x)| quantize_rows(values, scales, x, width));
    Activations { values, scales }
}

dispatch! {
fn quantize_rows(values: &mut [f32], scales: &mut [f32], x: &[f32], width: usize) {
    let rows = values.chunks_exact_mut(width).zip(x.chunks_exact(width));
    for ((values, x), scale) in rows.zip(scales) {
        let largest = max_abs(x).max(FLOOR);
        let inverse = 127.0 / largest;
        *scale = largest / 127.0;
        for i in 0..width {
            values[i] = (x[i] * inverse).round_ties_even().clamp(-128.0, 127.0);
        }
    }
}
}

dispatch! {
/// Quantises weights to ternary by their absmean: writes -1, 0 or 1 for each weight and returns the scale
/// `mean |w|`.
pub fn ternarize(w: &[f32], codes: &mut [f32]) -> f32 {
    let total: f64 = w.chunks(4096).map(|chunk| sum_abs(chunk) as f64).sum();
    let scale = ((total / w.len() as f64) as f32).max(FLOOR);
    let inverse = 1.0 / scale;
    for (code, w) in codes.iter_mut().zip(w) {
        *code = (w * inverse).round_ties_even().clamp(-1.0, 1.0);
    }
    scale
}
}
