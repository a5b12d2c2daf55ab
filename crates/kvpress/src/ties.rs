//! Decisions by a hair, noted where they are asked for.

use crate::contest::Contest;

/// Decides contests, and notes which positions won or lost by less than a tolerance.
#[derive(Debug)]
pub(crate) struct Ties {
    tolerance: Option<f32>,
    /// `[kv_heads][tokens]`.
    close: Vec<Vec<bool>>,
}

impl Ties {
    /// Notes nothing.
    pub(crate) fn ignored() -> Ties {
        Ties { tolerance: None, close: vec![] }
    }

    /// Notes what `tolerance`, relative to the lowest winner's score, could change.
    pub(crate) fn within(tolerance: f32, kv_heads: usize, tokens: usize) -> Ties {
        Ties { tolerance: Some(tolerance), close: vec![vec![false; tokens]; kv_heads] }
    }

    /// None yet, with the same tolerance, of what else may compete.
    pub(crate) fn like(&self, rows: usize, length: usize) -> Ties {
        Ties { tolerance: self.tolerance, close: vec![vec![false; length]; rows] }
    }

    pub(crate) fn tolerance(&self) -> Option<f32> {
        self.tolerance
    }

    /// The winners of a contest; see [`Contest::winners`].
    pub(crate) fn decide(&mut self, contest: &Contest) -> Vec<Vec<u32>> {
        if let Some(tolerance) = self.tolerance {
            contest.mark_close(tolerance, &mut self.close);
        }
        contest.winners()
    }

    /// The winners of a contest within one head.
    pub(crate) fn decide_in_head(&mut self, contest: &Contest) -> Vec<u32> {
        self.decide(contest).pop().unwrap_or_default()
    }

    /// Notes a position that a close contest decided indirectly.
    pub(crate) fn note(&mut self, head: usize, position: u32) {
        if let Some(close) = self.close.get_mut(head) {
            close[position as usize] = true;
        }
    }

    /// The positions noted in each row, ascending.
    pub(crate) fn positions(self) -> impl Iterator<Item = Vec<u32>> {
        let noted = |row: Vec<bool>| (0..row.len() as u32).filter(|&p| row[p as usize]).collect();
        self.close.into_iter().map(noted)
    }
}
