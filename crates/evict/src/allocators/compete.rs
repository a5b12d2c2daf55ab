//! Lets heads compete for tokens by score.

use std::{cmp::Reverse, collections::BinaryHeap};

use bitkv_stats::apportion_within;

/// Returns how many of `total` tokens each head wins if the best-scored tokens of all heads are kept. The
/// best `safe` tokens of each head are kept in any case, or fewer if `total` does not suffice. If scores are
/// equal, the head that has won fewer tokens so far wins.
pub(super) fn tokens_won(scores: &[Vec<f32>], total: usize, safe: usize) -> Vec<usize> {
    let held: Vec<usize> = scores.iter().map(Vec::len).collect();
    let safe: Vec<usize> = held.iter().map(|&held| safe.min(held)).collect();
    let sum: usize = safe.iter().sum();
    if sum >= total {
        return apportion_within(total, &vec![1.0; held.len()], 0, &safe).unwrap_or(safe);
    }
    let rests: Vec<Vec<f32>> = scores.iter().zip(&safe).map(|(s, &safe)| without_best(s, safe)).collect();
    let mut all: Vec<f32> = rests.iter().flatten().copied().collect();
    let contested = total - sum;
    if contested >= all.len() {
        return held;
    }
    // The highest score that is not kept. Higher scores win; the tokens with this score share what is left.
    let (_, &mut bar, _) = all.select_nth_unstable_by(contested, |a, b| b.total_cmp(a));
    let above = |rest: &Vec<f32>| rest.iter().filter(|s| s.total_cmp(&bar).is_gt()).count();
    let mut won: Vec<usize> = safe.iter().zip(&rests).map(|(safe, rest)| safe + above(rest)).collect();
    let equal = |rest: &Vec<f32>| rest.iter().filter(|s| s.total_cmp(&bar).is_eq()).count();
    share_equals(&mut won, rests.iter().map(equal).collect(), total);
    won
}

/// Gives the tokens of equal score one by one to the head that has won the fewest so far. `equals` is the
/// number of such tokens in each head.
fn share_equals(won: &mut [usize], mut equals: Vec<usize>, total: usize) {
    let mut left = total - won.iter().sum::<usize>();
    let waiting = (0..won.len()).filter(|&head| equals[head] > 0);
    let mut heads: BinaryHeap<_> = waiting.map(|head| Reverse((won[head], head))).collect();
    while left > 0 {
        let Some(Reverse((_, head))) = heads.pop() else { return };
        won[head] += 1;
        equals[head] -= 1;
        left -= 1;
        if equals[head] > 0 {
            heads.push(Reverse((won[head], head)));
        }
    }
}

/// Returns the scores without the `count` highest, in any order.
fn without_best(scores: &[f32], count: usize) -> Vec<f32> {
    let mut scores = scores.to_vec();
    if count > 0 {
        scores.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    }
    scores.split_off(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INF: f32 = f32::INFINITY;

    #[test]
    fn the_best_of_all_heads_win() {
        let scores = [vec![5.0, 1.0, 4.0], vec![3.0, 6.0, 2.0]];
        assert_eq!(tokens_won(&scores, 3, 0), [2, 1]);
        assert_eq!(tokens_won(&scores, 5, 0), [2, 3]);
        assert_eq!(tokens_won(&scores, 6, 0), [3, 3]);
    }

    #[test]
    fn safe_tokens_are_won_first() {
        let scores = [vec![9.0, 8.0, 7.0], vec![1.0, 2.0, 3.0]];
        assert_eq!(tokens_won(&scores, 3, 0), [3, 0]);
        assert_eq!(tokens_won(&scores, 3, 1), [2, 1]);
        assert_eq!(tokens_won(&scores, 4, 2), [2, 2]);
        assert_eq!(tokens_won(&scores, 3, 2), [2, 1]);
        assert_eq!(tokens_won(&[vec![1.0], vec![3.0; 5]], 4, 2), [1, 3]);
    }

    #[test]
    fn equal_scores_are_won_by_the_head_with_fewer_tokens() {
        assert_eq!(tokens_won(&[vec![INF; 4], vec![INF; 4]], 4, 0), [2, 2]);
        assert_eq!(tokens_won(&[vec![1.0, 1.0, 9.0], vec![1.0, 1.0, 0.0]], 2, 0), [1, 1]);
        assert_eq!(tokens_won(&[vec![1.0, 1.0, 9.0], vec![1.0, 1.0, 0.0]], 3, 0), [2, 1]);
        assert_eq!(tokens_won(&[vec![9.0, 9.0, 1.0], vec![1.0, 0.0, 0.0]], 3, 0), [2, 1]);
    }

    proptest! {
        #[test]
        fn every_winner_outranks_every_loser(
            heads in prop::collection::vec(prop::collection::vec(0u8..9, 1..12), 1..5),
            part in 0.0..=1.0f64,
            safe in 0usize..4,
        ) {
            let scores: Vec<Vec<f32>> =
                heads.iter().map(|head| head.iter().map(|&s| f32::from(s)).collect()).collect();
            let held: usize = heads.iter().map(Vec::len).sum();
            let total = (part * held as f64) as usize;
            let won = tokens_won(&scores, total, safe);
            prop_assert_eq!(won.iter().sum::<usize>(), total);
            let sorted = heads.iter().map(|head| {
                let mut head = head.clone();
                head.sort_unstable_by(|a, b| b.cmp(a));
                head
            });
            let sorted: Vec<Vec<u8>> = sorted.collect();
            for (a, &winner) in won.iter().enumerate() {
                for (b, &loser) in won.iter().enumerate() {
                    // The worst winner of one head, unless it is safe, and the best loser of another head.
                    if winner > safe && loser < sorted[b].len() {
                        prop_assert!(sorted[a][winner - 1] >= sorted[b][loser]);
                    }
                }
            }
        }
    }
}
