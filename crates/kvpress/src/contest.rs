//! A [`Contest`] decides by score which tokens of one or several heads are kept.

use std::{cmp::Ordering, ops::Range};

/// Tokens of one or several KV heads that compete by score. The `places` tokens with the highest scores win.
#[derive(Debug)]
pub(crate) struct Contest {
    /// The KV heads that take part, counted within the layer.
    heads: Range<usize>,
    /// The scores of these heads, `[heads][tokens]`. A token with a score of negative infinity does not take
    /// part.
    scores: Vec<Vec<f32>>,
    places: usize,
}

impl Contest {
    /// Returns a contest between the tokens of one KV head.
    pub(crate) fn in_head(head: usize, scores: Vec<f32>, places: usize) -> Contest {
        Contest { heads: head..head + 1, scores: vec![scores], places }
    }

    /// Returns a contest between the tokens of all KV heads of a layer.
    pub(crate) fn in_layer(scores: Vec<Vec<f32>>, places: usize) -> Contest {
        Contest { heads: 0..scores.len(), scores, places }
    }

    /// Returns the positions that win in each head, ascending. If scores are equal, the head with the lower
    /// index wins, then the earlier position.
    pub(crate) fn winners(&self) -> Vec<Vec<u32>> {
        let mut winners = vec![Vec::new(); self.scores.len()];
        let mut order = self.by_score();
        order.truncate(self.places);
        order.into_iter().for_each(|(head, position)| winners[head].push(position));
        winners.iter_mut().for_each(|positions| positions.sort_unstable());
        winners
    }

    /// Marks, in `close` `[kv_heads][tokens]`, the positions that might win or lose if every score were wrong
    /// by up to `tolerance` times the score of the lowest winner.
    pub(crate) fn mark_close(&self, tolerance: f32, close: &mut [Vec<bool>]) {
        let Some(threshold) = self.close_threshold(tolerance) else { return };
        for (scores, close) in self.scores.iter().zip(&mut close[self.heads.clone()]) {
            for (score, close) in scores.iter().zip(close) {
                *close |= is_near(*score, threshold, tolerance);
            }
        }
    }

    /// Returns the smallest and the largest possible number of winners of each head, if scores within
    /// `tolerance` of the lowest winning score can win or lose.
    pub(crate) fn wins_within(&self, tolerance: f32) -> Vec<(usize, usize)> {
        let threshold = self.close_threshold(tolerance);
        let is_close = |score: f32| threshold.is_some_and(|t| is_near(score, t, tolerance));
        let count = |scores: &[f32], wins: Vec<u32>| {
            let at_stake = wins.iter().filter(|&&p| is_close(scores[p as usize])).count();
            let all_near = scores.iter().filter(|&&s| is_close(s)).count();
            (wins.len() - at_stake, wins.len() - at_stake + all_near)
        };
        self.scores.iter().zip(self.winners()).map(|(scores, wins)| count(scores, wins)).collect()
    }

    /// Returns the lowest winning score, or `None` if no losing score is near it.
    fn close_threshold(&self, tolerance: f32) -> Option<f32> {
        let order = self.by_score();
        let score = |&(head, position): &(usize, u32)| self.scores[head][position as usize];
        let threshold = score(order.get(self.places.checked_sub(1)?)?);
        let best_loser = score(order.get(self.places)?);
        is_near(best_loser, threshold, tolerance).then_some(threshold)
    }

    /// Returns the head and the position of every token that takes part, the highest score first.
    fn by_score(&self) -> Vec<(usize, u32)> {
        let all = self.scores.iter().enumerate().flat_map(|(head, scores)| {
            let taking_part = scores.iter().enumerate().filter(|(_, s)| **s > f32::NEG_INFINITY);
            taking_part.map(move |(position, _)| (head, position as u32))
        });
        let mut order: Vec<(usize, u32)> = all.collect();
        let score = |&(head, position): &(usize, u32)| self.scores[head][position as usize];
        // The sort is stable: equal scores stay in the order of head and position.
        order.sort_by(|a, b| score(b).partial_cmp(&score(a)).unwrap_or(Ordering::Equal));
        order
    }
}

/// Returns whether a score differs from `threshold` by at most `tolerance` times `threshold`.
fn is_near(score: f32, threshold: f32, tolerance: f32) -> bool {
    (score - threshold).abs() <= tolerance * threshold.abs() || score == threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_scores_wins() {
        let contest = Contest::in_head(0, vec![1.0, 2.0, 1.0, 1.0, f32::NEG_INFINITY], 2);
        assert_eq!(contest.winners(), [[0, 1]]);
        let contest = Contest::in_layer(vec![vec![0.0, 3.0], vec![3.0, 4.0]], 2);
        assert_eq!(contest.winners(), [vec![1], vec![1]]);
        assert_eq!(contest.wins_within(0.0), [(0, 1), (1, 2)]);
        assert_eq!(Contest::in_head(0, vec![1.0, 2.0], 1).wins_within(0.0), [(1, 1)]);
    }

    #[test]
    fn positions_that_rounding_could_swap_are_marked_close() {
        let marked = |scores: &[f32], places| {
            let mut close = vec![vec![false; scores.len()]];
            Contest::in_head(0, scores.to_vec(), places).mark_close(0.01, &mut close);
            (0..scores.len()).filter(|&i| close[0][i]).collect::<Vec<_>>()
        };
        assert_eq!(marked(&[9.0, 1.0, 0.995, 0.98], 2), [1, 2]);
        assert_eq!(marked(&[0.0, 0.0, -1.0], 1), [0, 1]);
        assert_eq!(marked(&[9.0, 1.0, 0.98], 2), []);
        assert_eq!(marked(&[1.0, 1.0], 2), []);
        assert_eq!(marked(&[1.0, 1.0], 0), []);
    }
}
