//! Products of whole matrices, computed one row of blocks at a time.

use rayon::prelude::*;

use super::{BLOCK, Blocks, SIDE, multiply, pack_a, pack_a_transposed};

/// Returns `y [rows, n] = row_scale * column_scale * (x [rows, k] . B)`, with `b` packed as
/// `[n / 32][k / 32]` blocks.
///
/// A scale that is `None` is 1.
///
/// # Panics
/// Panics if a length is not a multiple of 32 or a slice does not fit.
pub fn gemm_rows(
    x: &[f32],
    k: usize,
    b: &[u16],
    n: usize,
    row_scale: Option<&[f32]>,
    column_scale: Option<&[f32]>,
) -> Vec<f32> {
    let rows = x.len() / k;
    assert!(
        rows.is_multiple_of(SIDE) && k.is_multiple_of(SIDE) && n.is_multiple_of(SIDE),
        "{rows} x {k} x {n}: multiples of {SIDE} only"
    );
    let (mut y, blocks) = (vec![0.0f32; rows * n], k / SIDE);
    y.par_chunks_mut(SIDE * n).zip(x.par_chunks(SIDE * k)).enumerate().for_each_init(
        || vec![0u16; SIDE * k],
        |a, (i, (y, x))| {
            for (j, block) in a.chunks_exact_mut(BLOCK).enumerate() {
                pack_a(block, &x[j * SIDE..], k);
            }
            for (j, column) in b.chunks_exact(blocks * BLOCK).enumerate() {
                multiply(&mut y[j * SIDE..], n, Blocks::dense(a), Blocks::dense(column), blocks, false);
            }
            scale(y, n, row_scale.map(|s| &s[i * SIDE..][..SIDE]), column_scale);
        },
    );
    y
}

/// Multiplies each row and each column of `y [rows, n]` by its scale.
fn scale(y: &mut [f32], n: usize, rows: Option<&[f32]>, columns: Option<&[f32]>) {
    for (i, row) in y.chunks_exact_mut(n).enumerate() {
        match (rows.map(|s| s[i]), columns) {
            (Some(r), Some(c)) => row.iter_mut().zip(c).for_each(|(v, c)| *v *= r * c),
            (Some(r), None) => row.iter_mut().for_each(|v| *v *= r),
            (None, Some(c)) => row.iter_mut().zip(c).for_each(|(v, c)| *v *= c),
            (None, None) => {}
        }
    }
}

/// Computes `dw [m, k] = sum over rows of dy[row, m] * row_scale[row] * x[row, k]`. If `accumulate` is true,
/// it adds this sum to `dw`.
///
/// `x` is packed by [`pack_b_all`](super::pack_b_all)` (x, rows, k)`.
///
/// # Panics
/// Panics if a length is not a multiple of 32 or a slice does not fit.
pub fn gemm_weight_gradient(
    dw: &mut [f32],
    dy: &[f32],
    m: usize,
    row_scale: Option<&[f32]>,
    x: &[u16],
    k: usize,
    accumulate: bool,
) {
    /// Number of blocks that are packed at a time: 64 KiB, so that they stay near the first-level cache.
    const CHUNK: usize = 32;
    let blocks = dy.len() / m / SIDE;
    dw.par_chunks_mut(SIDE * k).enumerate().for_each_init(
        || vec![0u16; CHUNK * BLOCK],
        |a, (i, dw)| {
            for first in (0..blocks).step_by(CHUNK) {
                let count = CHUNK.min(blocks - first);
                for (j, block) in a.chunks_exact_mut(BLOCK).take(count).enumerate() {
                    let row = (first + j) * SIDE;
                    let scale = row_scale.map(|s| &s[row..][..SIDE]);
                    pack_a_transposed(block, &dy[row * m + i * SIDE..], m, scale);
                }
                for column in 0..k / SIDE {
                    let b = Blocks::dense(&x[(column * blocks + first) * BLOCK..]);
                    let keep = accumulate || first > 0;
                    multiply(&mut dw[column * SIDE..], k, Blocks::dense(a), b, count, keep);
                }
            }
        },
    );
}
