//! One block of query rows after another.

use half::f16;

use super::{Floats, Input, Statistics};
use crate::{
    dense::convert,
    lanes::{LANES, Lanes, dots, padded},
};

/// Query rows in a block.
const ROWS: usize = 16;
/// Keys converted to f32 at a time: they stay in the first-level cache for all rows of a block.
const TILE: usize = 32;
/// Terms of an entropy at or below this probability are dropped, as in the published tools.
const NEGLIGIBLE: f32 = 1e-10;

/// Buffers of one call.
struct Scratch {
    /// Scaled queries `[ROWS, width]`.
    queries: Vec<f32>,
    /// A tile of keys or values `[TILE, width]`.
    tile: Vec<f32>,
    /// Scores, then probabilities `[ROWS, stride]`.
    scores: Vec<f32>,
    /// Exponentials of one row.
    exps: Vec<f32>,
    /// Sums of values `[ROWS, width]`.
    sums: Vec<f32>,
    width: usize,
    stride: usize,
}

/// # Safety
/// The instructions of `L` must be present.
#[inline(always)]
pub(super) unsafe fn run<L: Lanes>(
    input: &Input<'_>,
    out: &mut [f32],
    mut statistics: Option<&mut Statistics>,
) {
    let (width, stride) = (padded(input.head_dim), input.visible().next_multiple_of(TILE));
    let mut scratch = Scratch {
        queries: vec![0.0; ROWS * width],
        tile: vec![0.0; TILE * width],
        scores: vec![0.0; ROWS * stride],
        exps: vec![0.0; stride],
        sums: vec![0.0; ROWS * width],
        width,
        stride,
    };
    let rows = input.queries.len() / input.head_dim;
    for first in (0..rows).step_by(ROWS) {
        let count = ROWS.min(rows - first);
        let last = input.offset + (first + count - 1) / input.group + 1;
        // SAFETY: passed on; the buffers fit `input`.
        unsafe {
            load_queries(input, first, count, &mut scratch);
            score::<L>(input, count, last, &mut scratch);
            for row in 0..count {
                let (token, head) = ((first + row) / input.group, (first + row) % input.group);
                let visible = input.offset + token + 1;
                let scores = &mut scratch.scores[row * stride..][..stride];
                hide(scores, visible, last, input.mask);
                let entropy = statistics.as_ref().is_some_and(|s| s.wants_entropy());
                let bits = softmax::<L>(&mut scores[..padded(last)], &mut scratch.exps, entropy);
                if let Some(statistics) = statistics.as_deref_mut() {
                    if entropy {
                        statistics.see_entropy(head, token, bits);
                    }
                    statistics.see_row(head, token, &scores[..visible]);
                }
            }
            sum_values::<L>(input, count, last, &mut scratch);
        }
        for row in 0..count {
            let to = &mut out[(first + row) * input.head_dim..][..input.head_dim];
            to.copy_from_slice(&scratch.sums[row * width..][..input.head_dim]);
        }
    }
}

fn load_queries(input: &Input<'_>, first: usize, count: usize, scratch: &mut Scratch) {
    for row in 0..count {
        let from = &input.queries[(first + row) * input.head_dim..][..input.head_dim];
        let to = &mut scratch.queries[row * scratch.width..];
        to.iter_mut().zip(from).for_each(|(to, from)| *to = from * input.scale);
    }
}

/// Converts the keys or values `from .. from + count` to f32; the rest of the tile stays finite.
#[inline(always)]
unsafe fn load_tile<L: Lanes>(
    floats: Floats<'_>,
    input: &Input<'_>,
    from: usize,
    count: usize,
    scratch: &mut Scratch,
) {
    for i in 0..count {
        let to = &mut scratch.tile[i * scratch.width..][..scratch.width];
        let at = (from + i) * input.head_dim;
        match floats {
            // SAFETY: passed on.
            Floats::F16(halves) => unsafe {
                convert(to, &halves[at..][..input.head_dim], |at| L::load_f16(at), f16::to_f32)
            },
            Floats::F32(floats) => to[..input.head_dim].copy_from_slice(&floats[at..][..input.head_dim]),
            // SAFETY: passed on.
            Floats::Packed(packed) => unsafe { packed.load::<L>(from + i, to) },
        }
    }
}

/// Scores of `count` rows with the first `last` keys.
#[inline(always)]
unsafe fn score<L: Lanes>(input: &Input<'_>, count: usize, last: usize, scratch: &mut Scratch) {
    for from in (0..last).step_by(TILE) {
        let keys = TILE.min(last - from);
        // SAFETY: rows below `count` and keys below the tile's end are inside the buffers.
        unsafe {
            load_tile::<L>(input.keys, input, from, keys, scratch);
            for key in (0..keys).step_by(4) {
                let mut row = 0;
                while row + 4 <= count {
                    score_quad::<L, 4>(row, key, from, scratch);
                    row += 4;
                }
                while row < count {
                    score_quad::<L, 1>(row, key, from, scratch);
                    row += 1;
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn score_quad<L: Lanes, const R: usize>(row: usize, key: usize, from: usize, scratch: &mut Scratch) {
    let width = scratch.width;
    // SAFETY: `R` rows and 4 keys from here on are inside the buffers.
    unsafe {
        let (a, b) = (scratch.queries.as_ptr().add(row * width), scratch.tile.as_ptr().add(key * width));
        for (r, scores) in dots::<L, R>(a, b, width, width).iter().enumerate() {
            let at = (row + r) * scratch.stride + from + key;
            scratch.scores[at..at + 4].copy_from_slice(scores);
        }
    }
}

/// Scores of keys that a row may not see become minus infinity.
fn hide(scores: &mut [f32], visible: usize, last: usize, mask: Option<&[bool]>) {
    scores[visible..padded(last)].fill(f32::NEG_INFINITY);
    if let Some(mask) = mask {
        for (score, seen) in scores[..visible].iter_mut().zip(mask) {
            if !seen {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

/// Scores to probabilities in place; returns the entropy in bits if asked for.
///
/// Sums are kept in f64, so that their rounding to f32 does not depend on where in the row the keys are.
#[inline(always)]
unsafe fn softmax<L: Lanes>(scores: &mut [f32], exps: &mut [f32], entropy: bool) -> f32 {
    let largest = largest(scores);
    if largest == f32::NEG_INFINITY {
        scores.fill(0.0);
        return 0.0;
    }
    // SAFETY: both slices hold whole registers.
    unsafe {
        let mut sums = [0.0f64; LANES];
        for i in (0..scores.len()).step_by(LANES) {
            let to = exps[i..i + LANES].as_mut_ptr();
            L::load(scores[i..i + LANES].as_ptr()).add(L::splat(-largest)).exp().store(to);
            for (sum, e) in sums.iter_mut().zip(&exps[i..i + LANES]) {
                *sum += f64::from(*e);
            }
        }
        let total: f64 = sums.iter().sum();
        let reciprocal = L::splat((1.0 / total) as f32);
        if !entropy {
            for i in (0..scores.len()).step_by(LANES) {
                L::load(exps[i..].as_ptr()).mul(reciprocal).store(scores[i..].as_mut_ptr());
            }
            return 0.0;
        }
        // log2 p = (score - largest) log2 e - log2 total.
        let (log2_total, lower) = (L::splat(total.log2() as f32), L::splat(-largest));
        let (log2_e, floor) = (L::splat(-std::f32::consts::LOG2_E), L::splat(NEGLIGIBLE));
        let (mut sums, mut terms) = ([0.0f64; LANES], [0.0f32; LANES]);
        for i in (0..scores.len()).step_by(LANES) {
            let p = L::load(exps[i..].as_ptr()).mul(reciprocal);
            let surprise = log2_total.fma(L::load(scores[i..].as_ptr()).add(lower), log2_e);
            p.mul(surprise).where_above(p, floor).store(terms.as_mut_ptr());
            p.store(scores[i..].as_mut_ptr());
            sums.iter_mut().zip(&terms).for_each(|(sum, t)| *sum += f64::from(*t));
        }
        // A certain row may come out as a tiny negative number.
        sums.iter().sum::<f64>().max(0.0) as f32
    }
}

#[inline(always)]
fn largest(scores: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in scores.chunks_exact(LANES) {
        for i in 0..LANES {
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    lanes.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}

/// Values weighted by the probabilities of `count` rows over the first `last` keys, key after key.
#[inline(always)]
unsafe fn sum_values<L: Lanes>(input: &Input<'_>, count: usize, last: usize, scratch: &mut Scratch) {
    scratch.sums.fill(0.0);
    for from in (0..last).step_by(TILE) {
        let keys = TILE.min(last - from);
        // SAFETY: as in `score`.
        unsafe {
            load_tile::<L>(input.values, input, from, keys, scratch);
            let mut row = 0;
            while row + 4 <= count {
                add_values::<L, 4>(row, from, keys, scratch);
                row += 4;
            }
            while row < count {
                add_values::<L, 1>(row, from, keys, scratch);
                row += 1;
            }
        }
    }
}

#[inline(always)]
unsafe fn add_values<L: Lanes, const R: usize>(row: usize, from: usize, keys: usize, scratch: &mut Scratch) {
    let mut column = 0;
    // SAFETY: whole registers inside `width`.
    unsafe {
        while column + 4 * LANES <= scratch.width {
            add_columns::<L, R, 4>(row, column, from, keys, scratch);
            column += 4 * LANES;
        }
        while column < scratch.width {
            add_columns::<L, R, 1>(row, column, from, keys, scratch);
            column += LANES;
        }
    }
}

#[inline(always)]
unsafe fn add_columns<L: Lanes, const R: usize, const C: usize>(
    row: usize,
    column: usize,
    from: usize,
    keys: usize,
    scratch: &mut Scratch,
) {
    let (width, stride) = (scratch.width, scratch.stride);
    // SAFETY: `R` rows, `C` registers and `keys` keys from here on are inside the buffers.
    unsafe {
        let at = scratch.sums.as_mut_ptr().add(row * width + column);
        let p = scratch.scores.as_ptr().add(row * stride + from);
        let tile = scratch.tile.as_ptr().add(column);
        let mut sums = [[L::splat(0.0); C]; R];
        for (r, sums) in sums.iter_mut().enumerate() {
            for (c, sum) in sums.iter_mut().enumerate() {
                *sum = L::load(at.add(r * width + c * LANES));
            }
        }
        for key in 0..keys {
            let mut values = [L::splat(0.0); C];
            for (c, value) in values.iter_mut().enumerate() {
                *value = L::load(tile.add(key * width + c * LANES));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let p = L::splat(*p.add(r * stride + key));
                for (sum, value) in sums.iter_mut().zip(&values) {
                    *sum = sum.fma(p, *value);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (c, sum) in sums.iter().enumerate() {
                sum.store(at.add(r * width + c * LANES));
            }
        }
    }
}
