//! The importance of R-KV: the attention of the last queries, combined over the query heads of a group.

use serde::{Deserialize, Serialize};

use super::{dot, softmax};
use crate::{Head, Need, Needs, PastRows};

/// What the query heads of a group take the maximum of. With one query head per group, both are the same.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupMaximum {
    /// The products of queries and keys, before one softmax, as in the authors' code.
    Products,
    /// The probabilities, which are rescaled to a sum of 1 after the maximum.
    #[default]
    Probabilities,
}

impl GroupMaximum {
    /// Returns what must be observed of the last `window` queries.
    pub(super) fn needs(self, window: usize) -> Needs {
        match self {
            GroupMaximum::Products => Needs::from([Need::Keys, Need::WindowQueries(window)]),
            GroupMaximum::Probabilities => Needs::from([Need::Keys, Need::WindowRows(window)]),
        }
    }

    /// Returns the importance of each token before the window, averaged over the last `window` queries,
    /// `[held - window]`.
    pub(super) fn mean_over_queries(self, head: &Head<'_>, window: usize) -> Vec<f32> {
        match self {
            GroupMaximum::Products => mean(products(head, window).into_iter().map(softmax)),
            GroupMaximum::Probabilities => mean(probabilities(head, window).into_iter().map(rescaled)),
        }
    }
}

/// Returns, for each query, the maximum over the group of its scaled products with the keys before the
/// window, `[queries][held - window]`.
///
/// Source: `compute_attention_scores` in `rkv/utils.py` of <https://github.com/Zefan-Cai/R-KV>.
fn products(head: &Head<'_>, window: usize) -> Vec<Vec<f64>> {
    let (dim, past) = (head.head_dim(), head.held().saturating_sub(window));
    let keys = &head.keys()[..past * dim];
    let group = head.group(Need::WindowQueries(window));
    let queries = group.first().map_or(0, |row| row.len() / dim);
    let scale = (dim as f64).sqrt();
    let of_query = |query: usize| {
        let product =
            |key| group.iter().map(|row| dot(&row[query * dim..][..dim], key)).fold(f32::MIN, f32::max);
        keys.chunks_exact(dim).map(|key| f64::from(product(key)) / scale).collect()
    };
    (0..queries).map(of_query).collect()
}

/// Returns, for each query, the maximum over the group of its attention to the tokens before the window,
/// `[queries][held - window]`.
fn probabilities(head: &Head<'_>, window: usize) -> Vec<Vec<f64>> {
    let group = PastRows::new(head, window);
    let mut heads: Vec<_> = group.iter().map(PastRows::iter).collect();
    let mut found = Vec::new();
    while let Some(rows) = heads.iter_mut().map(Iterator::next).collect::<Option<Vec<&[f32]>>>() {
        found.push(crate::Pooling::Max.pool(&rows).iter().copied().map(f64::from).collect());
    }
    found
}

/// Returns the row divided by its sum. A row of zeros stays as it is.
fn rescaled(mut row: Vec<f64>) -> Vec<f64> {
    let sum: f64 = row.iter().sum();
    if sum > 0.0 {
        row.iter_mut().for_each(|a| *a /= sum);
    }
    row
}

/// Returns the mean of rows of equal length.
fn mean(rows: impl Iterator<Item = Vec<f64>>) -> Vec<f32> {
    let (mut sums, mut count) = (Vec::<f64>::new(), 0.0);
    for row in rows {
        sums.resize(row.len(), 0.0);
        sums.iter_mut().zip(&row).for_each(|(sum, x)| *sum += x);
        count += 1.0;
    }
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}
