//! The two quantisers of W1.58A8, as values that bf16 holds exactly.

use rayon::prelude::*;

use crate::simd::dispatch;
use crate::vector::{max_abs, sum_abs};

/// Rows a task handles at a time.
const ROWS: usize = 64;
/// The floor under both scales, as in the reference quantisers.
const FLOOR: f32 = 1e-5;

/// Int8 activations, one scale a row: `x ~ values * scales[row]`.
#[derive(Debug)]
pub struct Activations {
    /// Integers from -128 to 127, `[rows, width]`.
    pub values: Vec<f32>,
    /// `max |x| / 127`, one a row.
    pub scales: Vec<f32>,
}

/// Per-token absmax int8, half to even.
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
/// Absmean ternary: writes -1, 0 or 1 for each weight and returns the scale `mean |w|`.
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
