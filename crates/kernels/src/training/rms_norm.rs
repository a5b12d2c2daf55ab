//! RMS normalisation, forward and backward.

use rayon::prelude::*;

use crate::simd::dispatch;
use crate::vector::dot;

/// Number of rows in a task.
const ROWS: usize = 64;

/// Returns `x / sqrt(mean(x^2) + eps) * gain` for each row of `x [rows, gain.len()]`.
pub fn rms_norm(x: &[f32], gain: &[f32], eps: f32) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    let chunk = ROWS * gain.len();
    y.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).for_each(|(y, x)| forward(y, x, gain, eps));
    y
}

dispatch! {
fn forward(y: &mut [f32], x: &[f32], gain: &[f32], eps: f32) {
    let width = gain.len();
    for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let r = 1.0 / (dot(x, x) / width as f32 + eps).sqrt();
        for i in 0..width {
            y[i] = x[i] * r * gain[i];
        }
    }
}
}

/// Returns the gradients of [`rms_norm`] with respect to `x` and `gain`, given the gradient `dy` of its
/// output.
pub fn rms_norm_backward(x: &[f32], gain: &[f32], eps: f32, dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut dx, chunk) = (vec![0.0; x.len()], ROWS * gain.len());
    let parts: Vec<Vec<f32>> = dx
        .par_chunks_mut(chunk)
        .zip(x.par_chunks(chunk))
        .zip(dy.par_chunks(chunk))
        .map(|((dx, x), dy)| {
            let mut dgain = vec![0.0; gain.len()];
            backward(dx, &mut dgain, x, gain, eps, dy);
            dgain
        })
        .collect();
    // The parts are added in the order of the rows, so that the sum does not depend on the scheduling of
    // tasks.
    let mut dgain = vec![0.0; gain.len()];
    for part in parts {
        dgain.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
    }
    (dx, dgain)
}

dispatch! {
fn backward(dx: &mut [f32], dgain: &mut [f32], x: &[f32], gain: &[f32], eps: f32, dy: &[f32]) {
    let width = gain.len();
    let rows = dx.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(dy.chunks_exact(width));
    for ((dx, x), dy) in rows {
        let r = 1.0 / (dot(x, x) / width as f32 + eps).sqrt();
        for i in 0..width {
            dx[i] = dy[i] * gain[i];
            dgain[i] += dy[i] * x[i] * r;
        }
        let m = dot(dx, x) * r * r * r / width as f32;
        for i in 0..width {
            dx[i] = dx[i] * r - x[i] * m;
        }
    }
}
}
