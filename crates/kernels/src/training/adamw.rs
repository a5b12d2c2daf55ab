//! One step of the AdamW optimiser.

use rayon::prelude::*;

use crate::simd::dispatch;

/// Hyperparameters of one step of AdamW.
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Learning rate of this step.
    pub rate: f32,
    /// Decay rates of the first and second moments.
    pub betas: (f32, f32),
    /// Added to the square root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay, before multiplication by the learning rate.
    pub decay: f32,
    /// Factor on the gradient, for clipping.
    pub gradient_scale: f32,
    /// Number of steps including this one, for bias correction.
    pub step: i32,
}

/// Updates the weights `w` and the moments `m` and `v` in place, given the gradient `g`.
///
/// Loshchilov and Hutter 2019, arXiv:1711.05101.
pub fn adamw(options: AdamW, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
    const CHUNK: usize = 16384;
    w.par_chunks_mut(CHUNK)
        .zip(m.par_chunks_mut(CHUNK))
        .zip(v.par_chunks_mut(CHUNK))
        .zip(g.par_chunks(CHUNK))
        .for_each(|(((w, m), v), g)| update(options, w, m, v, g));
}

dispatch! {
fn update(options: AdamW, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
    let (b1, b2) = options.betas;
    let c1 = options.rate / (1.0 - b1.powi(options.step));
    let c2 = 1.0 / (1.0 - b2.powi(options.step));
    let decay = options.rate * options.decay;
    let n = w.len();
    let (m, v, g) = (&mut m[..n], &mut v[..n], &g[..n]);
    for i in 0..n {
        let x = g[i] * options.gradient_scale;
        m[i] = b1 * m[i] + (1.0 - b1) * x;
        v[i] = b2 * v[i] + (1.0 - b2) * x * x;
        w[i] -= decay * w[i] + c1 * m[i] / ((v[i] * c2).sqrt() + options.eps);
    }
}
}
