//! The softmax weights of a row, their sum and their entropy, in one pass over its scores.

use crate::lanes::{LANES, Lanes};

/// Adding this number to a number of magnitude at most 1 and subtracting it again rounds that number to a
/// multiple of 2^-36.
///
/// Sums of such multiples are exact in f64 for up to 2^17 keys. The sum of a row therefore does not depend on
/// the order of its keys or on keys with weight 0, and a compacted cache gives the same bits as a masked one.
const GRID: f64 = 1.5 * (1u64 << 16) as f64;
/// Weights at or below this fraction of the largest weight do not contribute to the mean in the entropy.
const NEGLIGIBLE: f32 = 1e-10;

/// The normaliser of a row of weights, and the entropy of the row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Normaliser {
    /// The reciprocal of the sum of the weights; 0 if the row sees no key.
    pub(super) reciprocal: f32,
    /// Entropy in bits; 0 if it was not requested.
    pub(super) entropy: f32,
}

/// Replaces each score by its weight `e^(score - largest)`. Returns the normaliser of the weights and, if
/// `entropy` is true, the entropy of the row.
///
/// Let `x = score - largest` and let `Z` be the sum of all `e^x`. The entropy of the row is `ln Z` minus the
/// mean of `x` under the row's probabilities, so the probabilities themselves are not needed. `ln Z` is at
/// least 0 and the mean at most 0. The published tools leave out terms with a probability of at most 1e-10,
/// but this function leaves out terms with a weight of at most 1e-10 from the mean. If only one of them
/// leaves out a term, that term is at most 3.4e-9 bits.
///
/// # Safety
/// The machine must have the instructions of `L`, and `scores` must consist of whole registers.
#[inline(always)]
pub(super) unsafe fn softmax<L: Lanes>(scores: &mut [f32], entropy: bool) -> Normaliser {
    // SAFETY: the caller upholds the contract.
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

/// Replaces scores by `e^x`. Returns the sum of `e^x` and, if `ENTROPY`, the sum of `x e^x`.
#[inline(always)]
unsafe fn exponentials<L: Lanes, const ENTROPY: bool>(scores: &mut [f32], largest: f32) -> (f64, f64) {
    // SAFETY: every access is to a whole register inside the row.
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
        (sum_of_lanes::<L>(sums), sum_of_lanes::<L>(means))
    }
}

/// Rounds `x` to the grid and adds it to `sums`. Sums of rounded numbers are the same in any order.
#[inline(always)]
unsafe fn add_exactly<L: Lanes>(sums: L::Wide, x: L, grid: L::Wide) -> L::Wide {
    // SAFETY: the caller upholds the contract.
    unsafe {
        let on_grid = L::sub_wide(L::add_wide(x.widen(), grid), grid);
        L::add_wide(sums, on_grid)
    }
}

/// Returns the sum of the lanes.
#[inline(always)]
unsafe fn sum_of_lanes<L: Lanes>(wide: L::Wide) -> f64 {
    let mut lanes = [0.0; LANES];
    // SAFETY: the array has room for 16 values.
    unsafe { L::store_wide(wide, lanes.as_mut_ptr()) };
    lanes.iter().sum()
}

/// Returns the largest score.
#[inline(always)]
unsafe fn largest<L: Lanes>(scores: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    // SAFETY: every access is to a whole register inside the row or to the array, which has room for one.
    unsafe {
        let mut largest = L::splat(f32::NEG_INFINITY);
        for scores in scores.chunks_exact(LANES) {
            largest = L::load(scores.as_ptr()).max(largest);
        }
        largest.store(lanes.as_mut_ptr());
    }
    lanes.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}
