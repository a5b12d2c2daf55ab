//! Splits a number of indivisible units in proportion to weights, within bounds.

/// Splits `total` indivisible units in proportion to `weights`, and gives each entry between `lo` and `hi`
/// units.
///
/// Fractional shares are computed first: they are proportional to the weights, clamped to the bounds, and sum
/// to `total`. They are then rounded by largest remainder; the earlier entry wins a tie. Entries of weight
/// zero get `lo` units, and share evenly the units that the other entries cannot take. Returns `None` if no
/// split exists, or if a weight is negative or not finite.
pub fn apportion(total: usize, weights: &[f64], lo: usize, hi: usize) -> Option<Vec<usize>> {
    if lo > hi {
        return None;
    }
    apportion_within(total, weights, lo, &vec![hi; weights.len()])
}

/// Splits `total` as [`apportion`] does, with an upper bound for each entry. An entry whose bound is below
/// `lo` receives its bound. Returns `None` in the same cases, and if there is not exactly one bound for each
/// weight.
pub fn apportion_within(total: usize, weights: &[f64], lo: usize, hi: &[usize]) -> Option<Vec<usize>> {
    let lo: Vec<usize> = hi.iter().map(|&hi| lo.min(hi)).collect();
    let sum = |bounds: &[usize]| bounds.iter().try_fold(0usize, |sum, &bound| sum.checked_add(bound));
    let most = sum(hi).unwrap_or(usize::MAX);
    if hi.len() != weights.len() || total < sum(&lo)? || total > most {
        return None;
    }
    if weights.iter().any(|w| !w.is_finite() || *w < 0.0) {
        return None;
    }
    let shares = clamped_shares(total, weights, &lo, hi);
    let floor = |(i, share): (usize, &f64)| (share.floor() as usize).clamp(lo[i], hi[i]);
    let mut units: Vec<usize> = shares.iter().enumerate().map(floor).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| shares[b].fract().total_cmp(&shares[a].fract()));
    let mut left = total.checked_sub(units.iter().sum())?;
    while left > 0 {
        for &i in &order {
            if left > 0 && units[i] < hi[i] {
                units[i] += 1;
                left -= 1;
            }
        }
    }
    Some(units)
}

/// Returns the fractional shares `clamp(m * weight, lo, hi)` with the `m` for which they sum to `total`. Each
/// round shares what is left among the free entries. Some entries then exceed their lower bound and some
/// their upper bound. The round fixes the entries on the side with the larger total excess, because these
/// would exceed their bound in every later round too.
fn clamped_shares(total: usize, weights: &[f64], lo: &[usize], hi: &[usize]) -> Vec<f64> {
    let (lo, hi) = (|i: usize| lo[i] as f64, |i: usize| hi[i] as f64);
    let mut shares = vec![0.0; weights.len()];
    let mut free: Vec<usize> = (0..weights.len()).collect();
    let mut left = total as f64;
    while !free.is_empty() {
        share(left, weights, &free, &mut shares);
        let over: f64 = free.iter().map(|&i| (shares[i] - hi(i)).max(0.0)).sum();
        let under: f64 = free.iter().map(|&i| (lo(i) - shares[i]).max(0.0)).sum();
        let before = free.len();
        free.retain(|&i| {
            let bound = if over >= under { hi(i) } else { lo(i) };
            let beyond = if over >= under { shares[i] > bound } else { shares[i] < bound };
            if beyond {
                shares[i] = bound;
                left -= bound;
            }
            !beyond
        });
        if free.len() == before {
            break;
        }
    }
    shares
}

/// Shares `left` among the `free` entries by weight, or evenly if all their weights are zero.
fn share(left: f64, weights: &[f64], free: &[usize], shares: &mut [f64]) {
    // Weights are scaled by the largest, so that their sum can neither vanish nor overflow.
    let peak = free.iter().map(|&i| weights[i]).fold(0.0, f64::max);
    let part = |i: usize| if peak > 0.0 { weights[i] / peak } else { 1.0 };
    let sum: f64 = free.iter().map(|&i| part(i)).sum();
    free.iter().for_each(|&i| shares[i] = left * part(i) / sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounds_by_largest_remainder() {
        assert_eq!(apportion(10, &[1.0, 1.0, 1.0], 0, 10), Some(vec![4, 3, 3]));
        assert_eq!(apportion(10, &[6.0, 3.0, 1.0], 0, 10), Some(vec![6, 3, 1]));
        assert_eq!(apportion(7, &[0.5, 1.4, 5.1], 0, 10), Some(vec![1, 1, 5]));
    }

    #[test]
    fn units_that_a_capped_entry_cannot_take_go_to_the_others() {
        assert_eq!(apportion(12, &[100.0, 1.0, 1.0], 1, 6), Some(vec![6, 3, 3]));
    }

    #[test]
    fn units_for_a_lower_bound_are_taken_from_the_others() {
        assert_eq!(apportion(12, &[1.0, 4.0, 7.0], 3, 12), Some(vec![3, 3, 6]));
    }

    #[test]
    fn entries_of_weight_zero_share_evenly_what_is_left() {
        assert_eq!(apportion(9, &[0.0, 0.0, 0.0], 1, 9), Some(vec![3, 3, 3]));
        assert_eq!(apportion(9, &[0.0, 5.0, 0.0], 1, 9), Some(vec![1, 7, 1]));
        assert_eq!(apportion(9, &[0.0, 5.0, 0.0], 1, 5), Some(vec![2, 5, 2]));
    }

    #[test]
    fn extreme_weights_are_shared_too() {
        assert_eq!(apportion(4, &[f64::MAX, f64::MAX], 0, 4), Some(vec![2, 2]));
        assert_eq!(apportion(4, &[5e-324, 5e-324], 0, 4), Some(vec![2, 2]));
        assert_eq!(apportion(6, &[f64::MAX, 5e-324, 5e-324], 0, 2), Some(vec![2, 2, 2]));
    }

    #[test]
    fn each_entry_may_have_its_own_upper_bound() {
        assert_eq!(apportion_within(9, &[1.0; 3], 1, &[2, 9, 9]), Some(vec![2, 4, 3]));
        assert_eq!(apportion_within(9, &[1.0; 3], 4, &[1, 9, 9]), Some(vec![1, 4, 4]));
        assert_eq!(apportion_within(9, &[1.0; 3], 1, &[3, 3, 2]), None);
        assert_eq!(apportion_within(2, &[1.0; 3], 1, &[3, 3, 2]), None);
        assert_eq!(apportion_within(2, &[1.0; 2], 1, &[3]), None);
        assert_eq!(apportion(4, &[1.0; 2], 3, 2), None);
    }

    #[test]
    fn impossible_splits_are_none() {
        assert_eq!(apportion(3, &[1.0, 1.0], 2, 9), None);
        assert_eq!(apportion(20, &[1.0, 1.0], 0, 9), None);
        assert_eq!(apportion(3, &[1.0, f64::NAN], 0, 9), None);
        assert_eq!(apportion(3, &[1.0, -1.0], 0, 9), None);
        assert_eq!(apportion(1, &[], 0, 9), None);
        assert_eq!(apportion(3, &[1.0, 1.0], usize::MAX, usize::MAX), None);
        assert_eq!(apportion(0, &[], 0, 9), Some(vec![]));
    }

    proptest! {
        #[test]
        fn spends_exactly_the_total_within_bounds(
            weights in prop::collection::vec(prop_oneof![Just(0.0), 0.0..1e6f64, 0.0..1e-300f64], 1..64),
            lo in 0usize..8, room in 0usize..64, fill in 0.0..=1.0f64,
        ) {
            let hi = lo + room;
            let n = weights.len();
            let total = lo * n + (fill * (room * n) as f64) as usize;
            let units = apportion(total, &weights, lo, hi).expect("feasible");
            prop_assert_eq!(units.iter().sum::<usize>(), total);
            prop_assert!(units.iter().all(|u| (lo..=hi).contains(u)));
        }

        #[test]
        fn spends_exactly_the_total_within_bounds_for_each_entry(
            entries in prop::collection::vec((0.0..10.0f64, 1usize..40), 1..32), fill in 0.0..=1.0f64,
        ) {
            let (weights, hi): (Vec<f64>, Vec<usize>) = entries.into_iter().unzip();
            let room: usize = hi.iter().map(|h| h - 1).sum();
            let total = hi.len() + (fill * room as f64) as usize;
            let units = apportion_within(total, &weights, 1, &hi).expect("feasible");
            prop_assert_eq!(units.iter().sum::<usize>(), total);
            prop_assert!(units.iter().zip(&hi).all(|(u, h)| (1..=*h).contains(u)));
        }

        #[test]
        fn a_heavier_entry_never_gets_fewer(
            weights in prop::collection::vec(0.0..10.0f64, 2..32), total in 32usize..400,
        ) {
            let units = apportion(total, &weights, 1, 400).expect("feasible");
            for (i, a) in weights.iter().enumerate() {
                for (j, b) in weights.iter().enumerate() {
                    prop_assert!(a <= b || units[i] >= units[j], "{weights:?} {units:?}");
                }
            }
        }
    }
}
