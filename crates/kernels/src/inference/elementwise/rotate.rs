//! Rotary position embeddings.

use crate::simd::dispatch;

dispatch! {
/// Rotates each pair `(j, j + width / 2)` of every head of `x [heads, width]` by its angle. `cos` and `sin`
/// are `[width / 2]`.
///
/// # Panics
/// Panics if `x` does not hold whole heads, or if `sin` is shorter than `cos`.
pub fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    let sin = &sin[..half];
    assert!(x.len().is_multiple_of(2 * half), "heads are {} wide", 2 * half);
    for head in x.chunks_exact_mut(2 * half) {
        let (low, high) = head.split_at_mut(half);
        for j in 0..half {
            let (a, b) = (low[j], high[j]);
            low[j] = a * cos[j] - b * sin[j];
            high[j] = b * cos[j] + a * sin[j];
        }
    }
}
}
