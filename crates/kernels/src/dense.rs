//! f32 rows times dense weights kept as f32, f16 or bf16: the output head.

use half::{bf16, f16};
use rayon::prelude::*;

use crate::{
    Level,
    lanes::{self, LANES, Lanes, Portable, dots, padded},
    scatter::Scatter,
};

/// Dense weights `[rows, cols]`, row-major, in the type they are stored in.
#[derive(Clone, Copy)]
pub enum Dense<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// IEEE half floats.
    F16(&'a [f16]),
    /// bfloat16.
    Bf16(&'a [bf16]),
    /// Anything else: a function that writes a row as f32.
    Rows {
        /// Number of rows.
        rows: usize,
        /// Writes one row.
        write: &'a (dyn Fn(usize, &mut [f32]) + Sync),
    },
}

impl Dense<'_> {
    fn len(&self, cols: usize) -> usize {
        match self {
            Dense::F32(w) => w.len(),
            Dense::F16(w) => w.len(),
            Dense::Bf16(w) => w.len(),
            Dense::Rows { rows, .. } => rows * cols,
        }
    }
}

/// Weight rows handled together; they are converted to f32 once for all tokens.
const ROWS: usize = 4;

/// `x [tokens, cols]` times the transpose of `weights [rows, cols]`: `[tokens, rows]`.
///
/// A result depends on its own two rows only, so one token gives the same bits as many.
///
/// # Panics
/// When a slice does not hold whole rows of `cols`.
pub fn matmul(x: &[f32], cols: usize, weights: Dense<'_>) -> Vec<f32> {
    matmul_at(lanes::lanes_level(), x, cols, weights)
}

fn matmul_at(level: Level, x: &[f32], cols: usize, weights: Dense<'_>) -> Vec<f32> {
    assert!(
        cols > 0 && x.len().is_multiple_of(cols) && weights.len(cols).is_multiple_of(cols),
        "slices hold whole rows of {cols}"
    );
    let (tokens, rows, stride) = (x.len() / cols, weights.len(cols) / cols, padded(cols));
    let mut aligned = vec![0.0; tokens * stride];
    for (to, from) in aligned.chunks_exact_mut(stride).zip(x.chunks_exact(cols)) {
        to[..cols].copy_from_slice(from);
    }
    let mut out = vec![0.0; tokens * rows];
    let scatter = Scatter::new(&mut out, tokens, rows);
    // A task of many rows keeps the scheduler's part small.
    (0..rows.div_ceil(64)).into_par_iter().for_each_init(
        || vec![0.0; ROWS * stride],
        |tile, task| {
            for first in (task * 64..rows.min(task * 64 + 64)).step_by(ROWS) {
                let job = Job { x: &aligned, stride, cols, weights, first, count: ROWS.min(rows - first) };
                // SAFETY: every task writes its own rows, and the level is present.
                unsafe { block_at(level, &job, tile, scatter) }
            }
        },
    );
    out
}

struct Job<'a> {
    x: &'a [f32],
    stride: usize,
    cols: usize,
    weights: Dense<'a>,
    first: usize,
    count: usize,
}

/// # Safety
/// The level must be present and no other thread may write the job's rows.
unsafe fn block_at(level: Level, job: &Job<'_>, tile: &mut [f32], out: Scatter<'_, f32>) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
        unsafe fn avx512(job: &Job<'_>, tile: &mut [f32], out: Scatter<'_, f32>) {
            // SAFETY: passed on.
            unsafe { block::<lanes::Avx512>(job, tile, out) }
        }
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn avx2(job: &Job<'_>, tile: &mut [f32], out: Scatter<'_, f32>) {
            // SAFETY: passed on.
            unsafe { block::<lanes::Avx2>(job, tile, out) }
        }
        // SAFETY: the caller vouches for the level.
        match level {
            Level::Avx512 => return unsafe { avx512(job, tile, out) },
            Level::Avx2 => return unsafe { avx2(job, tile, out) },
            Level::Portable => {}
        }
    }
    let _ = level;
    // SAFETY: passed on.
    unsafe { block::<Portable>(job, tile, out) }
}

/// # Safety
/// As [`block_at`].
#[inline(always)]
unsafe fn block<L: Lanes>(job: &Job<'_>, tile: &mut [f32], out: Scatter<'_, f32>) {
    // SAFETY: the rows are inside the weights, the tile holds `ROWS` rows of `stride`.
    unsafe {
        for i in 0..job.count {
            let to = &mut tile[i * job.stride..][..job.stride];
            let range = (job.first + i) * job.cols..(job.first + i + 1) * job.cols;
            match job.weights {
                Dense::F32(w) => to[..job.cols].copy_from_slice(&w[range]),
                Dense::F16(w) => convert(to, &w[range], |at| L::load_f16(at), f16::to_f32),
                Dense::Bf16(w) => convert(to, &w[range], |at| L::load_bf16(at), bf16::to_f32),
                Dense::Rows { write, .. } => write(job.first + i, &mut to[..job.cols]),
            }
        }
        let tokens = job.x.len() / job.stride;
        let mut token = 0;
        while token + 4 <= tokens {
            write::<L, 4>(job, tile, token, out);
            token += 4;
        }
        while token < tokens {
            write::<L, 1>(job, tile, token, out);
            token += 1;
        }
    }
}

/// # Safety
/// As [`block_at`].
#[inline(always)]
unsafe fn write<L: Lanes, const R: usize>(job: &Job<'_>, tile: &[f32], token: usize, out: Scatter<'_, f32>) {
    // SAFETY: `R` tokens from `token` on are inside `x`.
    unsafe {
        let results =
            dots::<L, R>(job.x.as_ptr().add(token * job.stride), tile.as_ptr(), job.stride, job.stride);
        for (r, results) in results.iter().enumerate() {
            for (i, result) in results.iter().take(job.count).enumerate() {
                out.put(token + r, job.first + i, *result);
            }
        }
    }
}

/// Converts `from` into the front of `to`.
#[inline(always)]
pub(crate) unsafe fn convert<L: Lanes, T: Copy>(
    to: &mut [f32],
    from: &[T],
    load: impl Fn(*const T) -> L,
    one: impl Fn(T) -> f32,
) {
    let whole = from.len() / LANES * LANES;
    for i in (0..whole).step_by(LANES) {
        // SAFETY: 16 values from `i` on are inside both slices.
        unsafe { load(from.as_ptr().add(i)).store(to[i..i + LANES].as_mut_ptr()) }
    }
    for i in whole..from.len() {
        to[i] = one(from[i]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn matches_f64(tokens in 1usize..7, rows in 1usize..70, cols in 1usize..70, seed: u32) {
            let mut state = seed | 1;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state as f32 / u32::MAX as f32 - 0.5
            };
            let x: Vec<f32> = (0..tokens * cols).map(|_| next()).collect();
            let w: Vec<f32> = (0..rows * cols).map(|_| next()).collect();
            let (w16, wb): (Vec<f16>, Vec<bf16>) = w.iter().map(|&v| (f16::from_f32(v), bf16::from_f32(v))).unzip();
            let levels = [Level::Portable, Level::Avx2, Level::Avx512];
            for level in levels.into_iter().filter(|&l| l <= lanes::lanes_level()) {
                let w_of = |k: usize, i: usize| [w[i], w16[i].to_f32(), wb[i].to_f32()][k];
                for (k, weights) in [Dense::F32(&w), Dense::F16(&w16), Dense::Bf16(&wb)].into_iter().enumerate() {
                    let got = matmul_at(level, &x, cols, weights);
                    for (i, got) in got.iter().enumerate() {
                        let (t, r) = (i / rows, i % rows);
                        let exact: f64 = (0..cols)
                            .map(|c| f64::from(x[t * cols + c]) * f64::from(w_of(k, r * cols + c)))
                            .sum();
                        prop_assert!((f64::from(*got) - exact).abs() < 1e-5, "{level:?} {k} {i}: {got} {exact}");
                    }
                    let alone = matmul_at(level, &x[..cols], cols, weights);
                    prop_assert_eq!(&alone[..], &got[..rows], "one token gives the same bits as many");
                }
            }
        }
    }
}
