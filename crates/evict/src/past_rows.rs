//! The attention rows of single queries, for methods that read [`Need::WindowRows`].

use crate::{Head, Need};

/// The attention of the last queries of one query head to the tokens before the window, one row per query.
/// The window is the tokens of these queries; its columns are left out.
#[derive(Clone, Copy, Debug)]
pub struct PastRows<'a> {
    row: &'a [f32],
    held: usize,
    past: usize,
}

impl<'a> PastRows<'a> {
    /// Returns the rows of each query head of the group, from [`Need::WindowRows`] of `window` queries.
    pub fn new(head: &Head<'a>, window: usize) -> Vec<PastRows<'a>> {
        let (held, past) = (head.held(), head.held().saturating_sub(window));
        let rows = head.group(Need::WindowRows(window)).iter();
        rows.map(|&row| PastRows { row, held, past }).collect()
    }

    /// Returns the row of each query, `[held - window]`, the oldest query first.
    pub fn iter(&self) -> impl Iterator<Item = &'a [f32]> {
        let past = self.past;
        self.row.chunks_exact(self.held).map(move |query| &query[..past])
    }

    /// Returns the attention to the last `count` tokens before the window, summed over these tokens and
    /// averaged over the queries.
    pub fn mass_of_last(&self, count: usize) -> f64 {
        self.mean()[self.past.saturating_sub(count)..].iter().sum()
    }

    /// Returns the mean over the queries for each token, `[held - window]`.
    pub fn mean(&self) -> Vec<f64> {
        let (mut mean, mut queries) = (vec![0.0f64; self.past], 0.0);
        for row in self.iter() {
            mean.iter_mut().zip(row).for_each(|(m, &a)| *m += f64::from(a));
            queries += 1.0;
        }
        mean.iter_mut().for_each(|m| *m /= queries);
        mean
    }

    /// Returns the unbiased variance over the queries for each token, `[held - window]`. It is 0 if there is
    /// one query.
    pub fn variance(&self) -> Vec<f64> {
        let mean = self.mean();
        let (mut squares, mut queries) = (vec![0.0f64; self.past], 0.0f64);
        for row in self.iter() {
            let off = squares.iter_mut().zip(row.iter().zip(&mean));
            off.for_each(|(s, (&a, m))| *s += (f64::from(a) - m).powi(2));
            queries += 1.0;
        }
        squares.iter_mut().for_each(|s| *s /= (queries - 1.0).max(1.0));
        squares
    }
}
