//! The moments of queries, and the cosine similarity of residual streams.

use rayon::prelude::*;

/// The mean and covariance of one head's queries before RoPE.
///
/// ExpectedAttention (arXiv 2510.00636) assumes that future queries are normally distributed with these
/// moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryMoments {
    /// The mean, `[head_dim]`.
    pub mean: Vec<f32>,
    /// The covariance, `[head_dim * head_dim]`: sums of products of deviations from the mean, divided by the
    /// number of queries.
    pub covariance: Vec<f32>,
}

impl QueryMoments {
    /// Returns the moments of each head of `queries [tokens, heads, head_dim]`; sums are f64.
    pub(crate) fn from_queries(queries: &[f32], heads: usize, head_dim: usize) -> Vec<QueryMoments> {
        (0..heads)
            .into_par_iter()
            .map(|head| QueryMoments::from_head_queries(queries, heads, head_dim, head))
            .collect()
    }

    /// Returns the moments of one head.
    fn from_head_queries(queries: &[f32], heads: usize, head_dim: usize, head: usize) -> QueryMoments {
        let width = heads * head_dim;
        let rows = || queries.chunks_exact(width).map(|row| &row[head * head_dim..][..head_dim]);
        let count = (queries.len() / width) as f64;
        let mut mean = vec![0.0f64; head_dim];
        rows().for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x)));
        mean.iter_mut().for_each(|sum| *sum /= count);
        let mut sums = vec![0.0f64; head_dim * head_dim];
        let mut deviations = vec![0.0f64; head_dim];
        for row in rows() {
            let centred = deviations.iter_mut().zip(row).zip(&mean);
            centred.for_each(|((deviation, x), mean)| *deviation = f64::from(*x) - mean);
            for (i, (sums, deviation)) in sums.chunks_exact_mut(head_dim).zip(&deviations).enumerate() {
                // The matrix is symmetric: its lower triangle is copied from the upper one below.
                let upper = sums[i..].iter_mut().zip(&deviations[i..]);
                upper.for_each(|(sum, other)| *sum += deviation * other);
            }
        }
        let entry = |(i, j): (usize, usize)| (sums[i.min(j) * head_dim + i.max(j)] / count) as f32;
        QueryMoments {
            mean: mean.iter().map(|x| *x as f32).collect(),
            covariance: (0..head_dim).flat_map(|i| (0..head_dim).map(move |j| (i, j))).map(entry).collect(),
        }
    }
}

/// Returns the cosine between each row of `a` and the same row of `b`, averaged over rows of `width` values.
/// A row of zeros has cosine 0.
pub(crate) fn mean_cosine(a: &[f32], b: &[f32], width: usize) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let cosine = |(a, b): (&[f32], &[f32])| {
        let norms = (dot(a, a) * dot(b, b)).sqrt();
        if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
    };
    let rows = a.chunks_exact(width).zip(b.chunks_exact(width));
    rows.map(cosine).sum::<f64>() / (a.len() / width) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_match_arithmetic_by_hand() {
        // There are two heads of width 2. The values of the second head are ten times those of the first.
        let queries = [1.0, 2.0, 10.0, 20.0, 3.0, -2.0, 30.0, -20.0, 5.0, 3.0, 50.0, 30.0];
        let moments = QueryMoments::from_queries(&queries, 2, 2);
        assert_eq!(moments[0].mean, [3.0, 1.0]);
        // The deviations from the mean are (-2, 1), (0, -3) and (2, 2).
        let expected = [8.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 14.0 / 3.0];
        assert_eq!(moments[0].covariance, expected);
        assert_eq!(moments[1].mean, [30.0, 10.0]);
        assert!(
            moments[1].covariance.iter().zip(expected).all(|(got, one)| (got - one * 100.0).abs() < 1e-4)
        );
    }

    #[test]
    fn a_large_mean_costs_no_precision() {
        let queries: Vec<f32> = (0..1000).map(|i| 4096.0 + (i % 2) as f32 / 512.0).collect();
        let moments = &QueryMoments::from_queries(&queries, 1, 1)[0];
        assert_eq!(moments.mean, [4096.0 + 1.0 / 1024.0]);
        assert_eq!(moments.covariance, [1.0 / 1024.0 / 1024.0]);
    }

    #[test]
    fn cosines_are_averaged_by_row() {
        let (a, b) = ([1.0, 0.0, 3.0, 4.0, 0.0, 0.0], [0.0, 2.0, 6.0, 8.0, 1.0, 1.0]);
        assert!((mean_cosine(&a, &b, 2) - 1.0 / 3.0).abs() < 1e-12);
    }
}
