//! What stands between the products of a forward pass, token by token: norms, the gate, rotations, residuals.
//!
//! Each is one loop that is compiled for every vector width and fixes its order of summation, so that the widths and
//! the number of threads give the same bits; what is quantised at once has the bits of what is kept as f32 first.

mod gate;
mod norm;
mod rotate;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

pub use crate::activation::Gate;
pub use gate::gate;
pub use norm::Norm;
pub use rotate::rotate;

use crate::simd::dispatch;

/// Values that are worth a task of their own.
const TASK: usize = 1 << 15;

/// Rows of `width` values that make up a task.
fn task_rows(width: usize) -> usize {
    (TASK / width).max(1)
}

/// Adds `x` to `h`, value by value.
///
/// # Panics
/// When the lengths differ.
pub fn add(h: &mut [f32], x: &[f32]) {
    assert_eq!(h.len(), x.len(), "both are [tokens, width]");
    h.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(h, x)| add_some(h, x));
}

dispatch! {
fn add_some(h: &mut [f32], x: &[f32]) {
    for (h, x) in h.iter_mut().zip(x) {
        *h += x;
    }
}
}
