//! Weights of a row, their sum and their entropy in one pass over its scores.

use crate::lanes::{LANES, Lanes};

/// Adding it to a number of magnitude at most 1 and taking it away again leaves a multiple of 2^-36.
///
/// Sums of such multiples are exact in f64 up to 2^17 keys: a row's sum is the same in whatever order its keys
/// come and whichever keys of weight zero are among them. A compact cache therefore gives the bits of a masked one.
const GRID: f64 = 1.5 * (1u64 << 16) as f64;
/// Weights at or below it, as parts of the largest, add nothing to an entropy.
const NEGLIGIBLE: f32 = 1e-10;

/// What is known of a row once its scores have become weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Normaliser {
    /// One over the sum of the weights; 0 if the row sees nothing.
    pub(super) reciprocal: f32,
    /// Entropy in bits; 0 unless asked for.
    pub(super) entropy: f32,
}

/// Scores become `e^(score - largest)` in place.
///
/// With `x = score - largest` and `Z` the sum of all `e^x`, a row's entropy is `ln Z` less the mean of `x` under the
/// row's probabilities: no probability has to exist. Neither part is negative. The published tools drop terms of
/// probability at most 1e-10; here those whose weight is at most 1e-10 are left out of the mean. No term that only one of
/// the two drops is larger than 3.4e-9 bits.
///
/// # Safety
/// The instructions of `L` must be present and `scores` hold whole registers.
#[inline(always)]
pub(super) unsafe fn softmax<L: Lanes>(scores: &mut [f32], entropy: bool) -> Normaliser {
    // SAFETY: passed on.
    unsafe {
        let largest = largest::<L>(scores);
        if largest == f32::NEG_INFINITY {
            scores.fill(0.0);
            return Normaliser { reciprocal: 0.0, entropy: 0.0 };
        }
        let (total, mean) = match entropy {
            true => exponentials::<L, true>(scores, largest),
            false => exponentials::<L, false>(scores, largest),
        };
        let bits = total.log2() - mean / total * std::f64::consts::LOG2_E;
        Normaliser { reciprocal: (1.0 / total) as f32, entropy: if entropy { bits as f32 } else { 0.0 } }
    }
}

/// The sums of `e^x` and of `x e^x`; the latter only if asked for.
#[inline(always)]
unsafe fn exponentials<L: Lanes, const ENTROPY: bool>(scores: &mut [f32], largest: f32) -> (f64, f64) {
    // SAFETY: whole registers inside the row.
    unsafe {
        let (lower, floor, grid) = (L::splat(-largest), L::splat(NEGLIGIBLE), L::splat_wide(GRID));
        let (mut sums, mut means) = (L::splat_wide(0.0), L::splat_wide(0.0));
        for scores in scores.chunks_exact_mut(LANES) {
            let x = L::load(scores.as_ptr()).add(lower);
            let weight = x.exp();
            weight.store(scores.as_mut_ptr());
            sums = add_exactly::<L>(sums, weight, grid);
            if ENTROPY {
                means = add_exactly::<L>(means, weight.mul(x).where_above(weight, floor), grid);
            }
        }
        (over_lanes::<L>(sums), over_lanes::<L>(means))
    }
}

#[inline(always)]
unsafe fn add_exactly<L: Lanes>(sums: L::Wide, x: L, grid: L::Wide) -> L::Wide {
    // SAFETY: passed on.
    unsafe {
        let on_grid = L::sub_wide(L::add_wide(x.widen(), grid), grid);
        L::add_wide(sums, on_grid)
    }
}

#[inline(always)]
unsafe fn over_lanes<L: Lanes>(wide: L::Wide) -> f64 {
    let mut lanes = [0.0; LANES];
    // SAFETY: there is room for 16 values.
    unsafe { L::store_wide(wide, lanes.as_mut_ptr()) };
    lanes.iter().sum()
}

#[inline(always)]
unsafe fn largest<L: Lanes>(scores: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    // SAFETY: whole registers inside the row, and room for one.
    unsafe {
        let mut largest = L::splat(f32::NEG_INFINITY);
        for scores in scores.chunks_exact(LANES) {
            largest = L::load(scores.as_ptr()).max(largest);
        }
        largest.store(lanes.as_mut_ptr());
    }
    lanes.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}
