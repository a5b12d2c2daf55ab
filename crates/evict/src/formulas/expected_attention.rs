use super::{MeanRotation, softmax};

/// The mean and covariance of one head's queries, rotated to the positions at which queries
/// are yet to come.
pub(crate) struct QueryMoments {
    mean: Vec<f64>,
    /// `[head_dim * head_dim]`; empty when it is to be left out.
    covariance: Vec<f64>,
}

impl QueryMoments {
    /// Of `moments` `[head_dim + head_dim * head_dim]` before rotary embedding: the mean, then
    /// the biased covariance, which is left out on request.
    pub(crate) fn rotated(
        moments: &[f32],
        head_dim: usize,
        future: &MeanRotation,
        covariance: bool,
    ) -> QueryMoments {
        let (mean, spread) = moments.split_at(head_dim);
        let covariance = if covariance { future.matrix(spread) } else { vec![] };
        QueryMoments { mean: future.vector(mean), covariance }
    }

    /// The logarithm of the mean of `exp(q.k / sqrt(d))` over normally distributed queries.
    fn log_weight(&self, key: &[f32]) -> f64 {
        let dim = key.len() as f64;
        let key: Vec<f64> = key.iter().copied().map(f64::from).collect();
        let of_mean: f64 = self.mean.iter().zip(&key).map(|(m, k)| m * k).sum();
        let mut projected = vec![0.0f64; if self.covariance.is_empty() { 0 } else { key.len() }];
        for (row, k) in self.covariance.chunks_exact(key.len()).zip(&key) {
            projected.iter_mut().zip(row).for_each(|(p, c)| *p += k * c);
        }
        let of_spread: f64 = projected.iter().zip(&key).map(|(p, k)| p * k).sum();
        of_mean / dim.sqrt() + of_spread / (2.0 * dim)
    }
}

/// The attention that one query head's queries yet to come are expected to pay to each of
/// `keys` `[tokens * head_dim]`, as if they came from a normal distribution: `[tokens]`,
/// which sums to 1.
///
/// Source: Devoto et al. 2025 (Expected Attention), arXiv:2510.00636.
pub(crate) fn expected_attention(queries: &QueryMoments, keys: &[f32]) -> Vec<f64> {
    let head_dim = queries.mean.len();
    let mut weights: Vec<f64> = keys.chunks_exact(head_dim).map(|key| queries.log_weight(key)).collect();
    softmax(&mut weights);
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_a_normal_distribution() {
        // At position 0 nothing turns. z = mean.k / sqrt(2) + k^T C k / 4.
        let here = MeanRotation::over(0, 1, 2, 10_000.0);
        let moments = [2.0, 0.0, 1.0, 0.5, 0.5, 4.0];
        let keys = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
        let z = [2f64.sqrt() + 0.25, 1.0, 2f64.sqrt() + 1.5];
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        let found = expected_attention(&QueryMoments::rotated(&moments, 2, &here, true), &keys);
        for (found, z) in found.iter().zip(z) {
            assert!((found - z.exp() / sum).abs() < 1e-12, "{found}");
        }
        let mean_only = expected_attention(&QueryMoments::rotated(&moments, 2, &here, false), &keys);
        assert!((mean_only[0] - mean_only[2]).abs() < 1e-12 && mean_only[1] < mean_only[0]);
    }
}
