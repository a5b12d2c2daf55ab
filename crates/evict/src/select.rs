//! Selects the tokens of a head that have the highest scores.

use std::cmp::Ordering;

use crate::Guard;

/// Returns the positions of the `count` highest scores, ascending. If scores are equal, the later position is
/// kept.
pub fn best(scores: &[f32], count: usize) -> Vec<u32> {
    best_with_guard(scores, count, Guard { sinks: 0, recent: 0 })
}

/// Returns the same as [`best`], except that as much of `guard` as fits into `count` is kept regardless of
/// its scores.
pub fn best_with_guard(scores: &[f32], count: usize, guard: Guard) -> Vec<u32> {
    let tokens = scores.len();
    let count = count.min(tokens);
    let Guard { sinks, recent } = guard.within(count);
    let middle = count - sinks - recent;
    let mut kept: Vec<u32> = (sinks as u32..(tokens - recent) as u32).collect();
    // Scores hold no NaN, and no two positions are equal, so the order is strict and total.
    let better = |a: &u32, b: &u32| {
        let (x, y) = (scores[*a as usize], scores[*b as usize]);
        y.partial_cmp(&x).unwrap_or(Ordering::Equal).then(b.cmp(a))
    };
    if middle < kept.len() {
        kept.select_nth_unstable_by(middle, better);
        kept.truncate(middle);
    }
    kept.extend(0..sinks as u32);
    kept.extend((tokens - recent) as u32..tokens as u32);
    kept.sort_unstable();
    kept
}

/// Returns whether [`best_with_guard`] must choose between equal scores: the lowest score that it keeps and
/// the highest that it evicts are the same. The guard does not count, and neither do scores that only say
/// that a token is protected or gives up its place in the guard (infinity and the lowest number).
pub fn has_tie(scores: &[f32], count: usize, guard: Guard) -> bool {
    let tokens = scores.len();
    let Guard { sinks, recent } = guard.within(count);
    if count >= tokens || count == sinks + recent {
        return false;
    }
    let mut middle = scores[sinks..tokens - recent].to_vec();
    let (best, evicted, _) = middle
        .select_nth_unstable_by(count - sinks - recent, |a, b| b.partial_cmp(a).unwrap_or(Ordering::Equal));
    let kept = best.iter().copied().fold(f32::INFINITY, f32::min);
    kept == *evicted && kept.is_finite() && kept > f32::MIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_later_of_two_equal_scores_is_kept() {
        assert_eq!(best(&[1.0, 1.0, 2.0, 1.0], 2), [2, 3]);
        assert_eq!(best(&[0.0, -0.0, 0.0], 2), [1, 2]);
        assert_eq!(best(&[f32::INFINITY, 5.0, f32::INFINITY], 1), [2]);
        assert_eq!(best(&[1.0], 3), [0]);
    }

    #[test]
    fn a_guard_outranks_an_infinite_score() {
        let scores = [0.0, f32::INFINITY, f32::INFINITY, 0.0];
        assert_eq!(best_with_guard(&scores, 3, Guard { sinks: 1, recent: 1 }), [0, 2, 3]);
    }

    #[test]
    fn only_a_border_between_equal_scores_is_a_tie() {
        const NONE: Guard = Guard { sinks: 0, recent: 0 };
        let scores = [1.0, 3.0, 2.0, 2.0, 5.0];
        let ties = |guard| (0..=5).map(|count| has_tie(&scores, count, guard)).collect::<Vec<_>>();
        assert_eq!(ties(NONE), [false, false, false, true, false, false]);
        // The guard takes the first and the last token, so 3, 2 and 2 compete for what is left.
        assert_eq!(ties(Guard { sinks: 1, recent: 1 }), [false, false, false, false, true, false]);
        assert!((1..4).all(|count| has_tie(&[0.0, -0.0, 0.0, 0.0], count, NONE)));
        assert!((1..4).all(|count| !has_tie(&[0.0, 1.0, 2.0, 3.0], count, NONE)));
        assert!(!has_tie(&[1.0, f32::INFINITY, f32::INFINITY], 1, NONE), "protected tokens have no scores");
        assert!(!has_tie(&[f32::MIN, f32::MIN, 2.0], 2, NONE));
    }

    proptest! {
        #[test]
        fn the_direction_of_positions_matters_only_if_there_is_a_tie(
            scores in prop::collection::vec((0..6i8).prop_map(f32::from), 1..30),
            n in 0usize..30,
        ) {
            let count = n.min(scores.len());
            let reversed: Vec<f32> = scores.iter().rev().copied().collect();
            let last = scores.len() as u32 - 1;
            let mut mirrored: Vec<u32> = best(&reversed, count).iter().map(|row| last - row).collect();
            mirrored.sort_unstable();
            let tie = has_tie(&scores, count, Guard { sinks: 0, recent: 0 });
            prop_assert_eq!(best(&scores, count) != mirrored, tie);
        }

        #[test]
        fn agrees_with_a_full_sort(
            scores in prop::collection::vec((0..6i8).prop_map(f32::from), 1..60),
            n in 0usize..60,
        ) {
            let count = n.min(scores.len());
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(b.cmp(&a)));
            let mut expected: Vec<u32> = order[..count].iter().map(|&i| i as u32).collect();
            expected.sort_unstable();
            prop_assert_eq!(best(&scores, count), expected);
        }
    }
}
