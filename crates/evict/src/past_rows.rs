//! The attention of single queries.

use crate::{Head, Need};

/// The attention of the last queries of one query head, each query's row without the columns
/// of the queries' own window.
#[derive(Clone, Copy, Debug)]
pub struct PastRows<'a> {
    row: &'a [f32],
    held: usize,
    past: usize,
}

impl<'a> PastRows<'a> {
    /// Those of each query head of a group, as [`Need::WindowRows`] of `window` queries has them.
    pub fn new(head: &Head<'a>, window: usize) -> Vec<PastRows<'a>> {
        let (held, past) = (head.held(), head.held().saturating_sub(window));
        let rows = head.group(Need::WindowRows(window)).iter();
        rows.map(|&row| PastRows { row, held, past }).collect()
    }

    /// The oldest query's row first, each `[held - window]`.
    pub fn iter(&self) -> impl Iterator<Item = &'a [f32]> {
        let past = self.past;
        self.row.chunks_exact(self.held).map(move |query| &query[..past])
    }

    /// What falls on the last `count` tokens before the window, on average over the queries.
    pub fn mass_of_last(&self, count: usize) -> f64 {
        self.mean()[self.past.saturating_sub(count)..].iter().sum()
    }

    /// Mean over the queries for each token, `[held - window]`.
    pub fn mean(&self) -> Vec<f64> {
        let (mut mean, mut queries) = (vec![0.0f64; self.past], 0.0);
        for row in self.iter() {
            mean.iter_mut().zip(row).for_each(|(m, &a)| *m += f64::from(a));
            queries += 1.0;
        }
        mean.iter_mut().for_each(|m| *m /= queries);
        mean
    }

    /// Variance over the queries for each token, unbiased; 0 of a single query. `[held - window]`.
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
