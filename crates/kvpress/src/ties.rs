//! [`Ties`] decides contests and, if it has a tolerance, notes the positions that were decided closely.

use crate::contest::Contest;

/// Decides contests and notes the positions that won or lost by less than a tolerance.
#[derive(Debug)]
pub(crate) struct Ties {
    /// The tolerance, relative to the lowest winning score. If it is `None`, nothing is noted.
    tolerance: Option<f32>,
    /// The noted positions, `[kv_heads][tokens]`.
    close: Vec<Vec<bool>>,
}

impl Ties {
    /// Returns a `Ties` that notes nothing.
    pub(crate) fn ignored() -> Ties {
        Ties { tolerance: None, close: vec![] }
    }

    /// Returns a `Ties` that notes the positions that an error of `tolerance`, relative to the lowest winning
    /// score, could change.
    pub(crate) fn within(tolerance: f32, kv_heads: usize, tokens: usize) -> Ties {
        Ties { tolerance: Some(tolerance), close: vec![vec![false; tokens]; kv_heads] }
    }

    /// Returns a `Ties` with the same tolerance and no notes, for contests of `rows` rows of `length` items,
    /// such as chunks.
    pub(crate) fn empty_like(&self, rows: usize, length: usize) -> Ties {
        Ties { tolerance: self.tolerance, close: vec![vec![false; length]; rows] }
    }

    pub(crate) fn tolerance(&self) -> Option<f32> {
        self.tolerance
    }

    /// Returns the winners of a contest, and notes close positions; see [`Contest::winners`].
    pub(crate) fn decide(&mut self, contest: &Contest) -> Vec<Vec<u32>> {
        if let Some(tolerance) = self.tolerance {
            contest.mark_close(tolerance, &mut self.close);
        }
        contest.winners()
    }

    /// Returns the winners of a contest within one head, ascending, and notes close positions.
    pub(crate) fn decide_in_head(&mut self, contest: &Contest) -> Vec<u32> {
        self.decide(contest).pop().unwrap_or_default()
    }

    /// Returns the winners of a contest within one head, the best first, and notes close positions.
    pub(crate) fn rank_in_head(&mut self, contest: &Contest) -> Vec<u32> {
        if let Some(tolerance) = self.tolerance {
            contest.mark_close(tolerance, &mut self.close);
        }
        contest.ranked().into_iter().map(|(_, position)| position).collect()
    }

    /// Notes a position that a close contest decided indirectly.
    pub(crate) fn note(&mut self, head: usize, position: u32) {
        if let Some(close) = self.close.get_mut(head) {
            close[position as usize] = true;
        }
    }

    /// Returns the noted positions of each row, ascending.
    pub(crate) fn positions(self) -> impl Iterator<Item = Vec<u32>> {
        let noted = |row: Vec<bool>| (0..row.len() as u32).filter(|&p| row[p as usize]).collect();
        self.close.into_iter().map(noted)
    }
}
