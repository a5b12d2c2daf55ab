//! A [`Contest`] decides by score which tokens of one or several heads are kept.

use std::{cmp::Ordering, ops::Range};

use crate::top::top;

/// Tokens of one or several KV heads that compete by score. The `places` tokens with the highest scores win.
#[derive(Debug)]
pub(crate) struct Contest {
    /// The KV heads that take part, counted within the layer.
    heads: Range<usize>,
    /// The scores of these heads, `[heads][tokens]`. A token with a score of negative infinity does not take
    /// part.
    scores: Vec<Vec<f32>>,
    places: usize,
    /// How many tokens kvpress selects, at least `places`: the best of them win. This, too, matters only if
    /// scores are equal.
    selected: usize,
    /// Whether the losers are selected, by their negated scores, and not the winners. This matters only if
    /// scores are equal.
    selects_losers: bool,
}

impl Contest {
    /// Returns a contest between the tokens of one KV head.
    pub(crate) fn in_head(head: usize, scores: Vec<f32>, places: usize) -> Contest {
        let selected = places;
        Contest { heads: head..head + 1, scores: vec![scores], places, selected, selects_losers: false }
    }

    /// Returns a contest between the tokens of all KV heads of a layer.
    pub(crate) fn in_layer(scores: Vec<Vec<f32>>, places: usize) -> Contest {
        Contest { heads: 0..scores.len(), scores, places, selected: places, selects_losers: false }
    }

    /// Returns a contest between the tokens of all KV heads of a layer, in which kvpress selects the tokens
    /// that it removes.
    pub(crate) fn removing_in_layer(scores: Vec<Vec<f32>>, places: usize) -> Contest {
        Contest { selects_losers: true, ..Contest::in_layer(scores, places) }
    }

    /// Returns the same contest, in which kvpress selects `selected` tokens and lets the best of them win.
    pub(crate) fn selecting(self, selected: usize) -> Contest {
        Contest { selected: selected.max(self.places), ..self }
    }

    /// Returns the positions that win in each head, ascending. If scores are equal, those win that
    /// `torch.topk` selects on a CPU; see [`top`].
    pub(crate) fn winners(&self) -> Vec<Vec<u32>> {
        let mut winners = vec![Vec::new(); self.scores.len()];
        self.ranked().into_iter().for_each(|(head, position)| winners[head].push(position));
        winners.iter_mut().for_each(|positions| positions.sort_unstable());
        winners
    }

    /// Returns the head and the position of every winner, the best first. If the losers are selected, the
    /// winners are in the order of head and position.
    pub(crate) fn ranked(&self) -> Vec<(usize, u32)> {
        let tokens = self.taking_part();
        let scores = tokens.iter().map(|&(head, position)| self.scores[head][position as usize]);
        if !self.selects_losers {
            let best = top(scores, self.selected).into_iter().take(self.places);
            return best.map(|index| tokens[index]).collect();
        }
        let mut wins = vec![true; tokens.len()];
        let losers = top(scores.map(|score| -score), tokens.len().saturating_sub(self.places));
        losers.into_iter().for_each(|index| wins[index] = false);
        tokens.into_iter().zip(wins).filter(|(_, wins)| *wins).map(|(token, _)| token).collect()
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

    /// Returns the head and the position of every token that takes part, in this order.
    fn taking_part(&self) -> Vec<(usize, u32)> {
        let tokens = self.scores.iter().enumerate().flat_map(|(head, scores)| {
            let taking_part = scores.iter().enumerate().filter(|(_, s)| **s > f32::NEG_INFINITY);
            taking_part.map(move |(position, _)| (head, position as u32))
        });
        tokens.collect()
    }

    /// Returns the head and the position of every token that takes part, the highest score first.
    fn by_score(&self) -> Vec<(usize, u32)> {
        let mut order = self.taking_part();
        let score = |&(head, position): &(usize, u32)| self.scores[head][position as usize];
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

    // The expected winners are those of `torch.topk` on the same rows.
    #[test]
    fn equal_scores_win_as_torch_selects_them() {
        let contest = Contest::in_head(0, vec![1.0, 2.0, 1.0, 1.0, f32::NEG_INFINITY], 2);
        assert_eq!(contest.winners(), [[1, 3]]);
        let contest = Contest::in_layer(vec![vec![0.0, 3.0], vec![3.0, 4.0]], 2);
        assert_eq!(contest.winners(), [vec![], vec![0, 1]]);
        assert_eq!(contest.wins_within(0.0), [(0, 1), (1, 2)]);
        assert_eq!(Contest::in_head(0, vec![1.0, 2.0], 1).wins_within(0.0), [(1, 1)]);
    }

    #[test]
    fn selecting_the_losers_breaks_ties_otherwise() {
        let scores = || vec![vec![0.0, 3.0, 3.0], vec![3.0, 4.0, 1.0]];
        assert_eq!(Contest::in_layer(scores(), 3).winners(), [vec![1], vec![0, 1]]);
        assert_eq!(Contest::removing_in_layer(scores(), 3).winners(), [vec![1, 2], vec![1]]);
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
        assert!(marked(&[9.0, 1.0, 0.98], 2).is_empty());
        assert!(marked(&[1.0, 1.0], 2).is_empty());
        assert!(marked(&[1.0, 1.0], 0).is_empty());
    }
}
