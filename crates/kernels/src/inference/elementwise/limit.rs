//! Finds numbers that are too large, infinite or NaN.

use rayon::prelude::*;

use super::TASK;
use crate::simd::dispatch;

/// Returns the index of the first number whose magnitude is not at most `limit`, or that is infinite or NaN.
pub fn first_beyond(x: &[f32], limit: f32) -> Option<usize> {
    let limit = limit.min(f32::MAX);
    let within = if x.len() <= TASK {
        all_within(x, limit)
    } else {
        x.par_chunks(TASK).all(|part| all_within(part, limit))
    };
    if within { None } else { x.iter().position(|x| !is_within(*x, limit)) }
}

#[inline(always)]
fn is_within(x: f32, limit: f32) -> bool {
    x.abs() <= limit
}

dispatch! {
fn all_within(x: &[f32], limit: f32) -> bool {
    // Whole blocks are compared without a branch, so that they are compared with vectors.
    let blocks = x.chunks_exact(64);
    let rest = blocks.remainder().iter().all(|x| is_within(*x, limit));
    let mut beyond = [0u32; 64];
    for block in blocks {
        for i in 0..64 {
            beyond[i] |= u32::from(!is_within(block[i], limit));
        }
    }
    rest && beyond.iter().all(|found| *found == 0)
}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_beyond_the_limit_is_found() {
        for len in [1, 63, 64, 65, 1000, 3 * TASK + 7] {
            let mut x: Vec<f32> = (0..len).map(|i| (i % 100) as f32 - 50.0).collect();
            assert_eq!((first_beyond(&x, 50.0), first_beyond(&x, f32::INFINITY)), (None, None), "{len}");
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 50.5, -50.5] {
                for at in [0, len / 2, len - 1] {
                    let good = std::mem::replace(&mut x[at], bad);
                    assert_eq!(first_beyond(&x, 50.0), Some(at), "{bad} of {len}");
                    let unlimited = (!bad.is_finite()).then_some(at);
                    assert_eq!(first_beyond(&x, f32::INFINITY), unlimited, "{bad} of {len}");
                    x[at] = good;
                }
            }
        }
        assert_eq!(first_beyond(&[], 1.0), None);
    }
}
