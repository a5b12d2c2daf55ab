//! The gated linear unit of the MLP, forward and backward.

use rayon::prelude::*;

use crate::{activation::Gate, simd::dispatch, vector::exp};

/// Number of rows in a task.
const ROWS: usize = 32;

/// Returns `gate(g) * u`, `[rows, width]`, for rows `[g | u]` of `2 * width` values.
pub fn glu(x: &[f32], width: usize, gate: Gate) -> Vec<f32> {
    let mut y = vec![0.0; x.len() / 2];
    y.par_chunks_mut(ROWS * width)
        .zip(x.par_chunks(ROWS * 2 * width))
        .for_each(|(y, x)| forward(y, x, width, gate));
    y
}

dispatch! {
fn forward(y: &mut [f32], x: &[f32], width: usize, gate: Gate) {
    for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(2 * width)) {
        let (g, u) = x.split_at(width);
        match gate {
            Gate::ReluSquared => for i in 0..width {
                let r = g[i].max(0.0);
                y[i] = r * r * u[i];
            },
            Gate::Silu => for i in 0..width {
                y[i] = g[i] / (1.0 + exp(-g[i])) * u[i];
            },
        }
    }
}
}

/// Returns the gradient of [`glu`] with respect to `x`, given the gradient `dy` of its output.
pub fn glu_backward(x: &[f32], width: usize, gate: Gate, dy: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; x.len()];
    dx.par_chunks_mut(ROWS * 2 * width)
        .zip(x.par_chunks(ROWS * 2 * width))
        .zip(dy.par_chunks(ROWS * width))
        .for_each(|((dx, x), dy)| backward(dx, x, width, gate, dy));
    dx
}

dispatch! {
fn backward(dx: &mut [f32], x: &[f32], width: usize, gate: Gate, dy: &[f32]) {
    let rows = dx.chunks_exact_mut(2 * width).zip(x.chunks_exact(2 * width)).zip(dy.chunks_exact(width));
    for ((dx, x), dy) in rows {
        let ((g, u), (dg, du)) = (x.split_at(width), dx.split_at_mut(width));
        match gate {
            Gate::ReluSquared => for i in 0..width {
                let r = g[i].max(0.0);
                du[i] = dy[i] * r * r;
                dg[i] = dy[i] * 2.0 * r * u[i];
            },
            Gate::Silu => for i in 0..width {
                let s = 1.0 / (1.0 + exp(-g[i]));
                du[i] = dy[i] * g[i] * s;
                dg[i] = dy[i] * u[i] * s * (1.0 + g[i] * (1.0 - s));
            },
        }
    }
}
}
