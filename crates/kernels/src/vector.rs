//! Reductions over slices in 16 lanes, and an exponential that the compiler can vectorise.

/// Returns `e^x` with a relative error of about 2e-7. It saturates instead of overflowing.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let t = (x * std::f32::consts::LOG2_E).clamp(-126.0, 126.0);
    let n = (t + ROUND) - ROUND;
    let f = t - n;
    // Minimax polynomial of 2^f on [-0.5, 0.5].
    let p = 0.000154035 * f + 0.001_333_355_8;
    let p = p * f + 0.009_618_129;
    let p = p * f + 0.055_504_11;
    let p = p * f + 0.240_226_5;
    let p = p * f + std::f32::consts::LN_2;
    let p = p * f + 1.0;
    f32::from_bits((p.to_bits() as i32 + ((n as i32) << 23)) as u32)
}

const LANES: usize = 16;

/// Folds `x` in 16 lanes, which all start at `from`, and then folds the lanes into one number.
#[inline(always)]
fn fold_lanes(x: &[f32], from: f32, fold: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [from; LANES];
    let mut chunks = x.chunks_exact(LANES);
    for chunk in &mut chunks {
        for i in 0..LANES {
            sums[i] = fold(sums[i], chunk[i]);
        }
    }
    for (sum, v) in sums.iter_mut().zip(chunks.remainder()) {
        *sum = fold(*sum, *v);
    }
    sums.into_iter().fold(from, fold)
}

#[inline(always)]
pub(super) fn max(x: &[f32]) -> f32 {
    fold_lanes(x, f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

#[inline(always)]
pub(super) fn max_abs(x: &[f32]) -> f32 {
    fold_lanes(x, 0.0, |a, b| if b.abs() > a { b.abs() } else { a })
}

#[inline(always)]
pub(super) fn sum(x: &[f32]) -> f32 {
    fold_lanes(x, 0.0, |a, b| a + b)
}

#[inline(always)]
pub(super) fn sum_abs(x: &[f32]) -> f32 {
    fold_lanes(x, 0.0, |a, b| a + b.abs())
}

/// Returns the inner product of `x` and `y`.
#[inline(always)]
pub fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (mut xs, mut ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    for (x, y) in (&mut xs).zip(&mut ys) {
        for i in 0..LANES {
            sums[i] += x[i] * y[i];
        }
    }
    let rest: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

crate::simd::dispatch! {
/// Returns `sum x^2`. Chunks are added in f64 so that long gradients keep their precision.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let mut total = 0.0;
    for chunk in x.chunks(4096) {
        total += dot(chunk, chunk) as f64;
    }
    total
}
}
