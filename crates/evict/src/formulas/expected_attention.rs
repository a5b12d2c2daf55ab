//! The attention that future queries are expected to pay.

use super::{mean_rotation::MeanRotation, sums::softmax};

/// The mean and covariance of the queries of one query head, rotated to the positions of future queries.
pub struct QueryMoments {
    mean: Vec<f64>,
    /// The covariance, `[head_dim * head_dim]`, in column-major order; empty if it is left out.
    covariance: Vec<f64>,
}

impl QueryMoments {
    /// Rotates `moments`, `[head_dim + head_dim * head_dim]`: the mean and then the biased covariance of the
    /// queries before rotary embedding. If `covariance` is false, the covariance is left out.
    pub fn rotated(
        moments: &[f32],
        head_dim: usize,
        future: &MeanRotation,
        covariance: bool,
    ) -> QueryMoments {
        let (mean, spread) = moments.split_at(head_dim);
        let covariance = if covariance { transposed(&future.matrix(spread), head_dim) } else { vec![] };
        QueryMoments { mean: future.vector(mean), covariance }
    }

    /// Returns the logarithm of the mean of `exp(q.k / sqrt(d))` over normally distributed queries `q`, for
    /// each of up to [`TOGETHER`] keys `[keys * head_dim]`. The keys are processed together because the
    /// covariance is larger than a CPU cache: it is read once for all of them.
    fn log_weights(&self, keys: &[f32]) -> [f64; TOGETHER] {
        let dim = self.mean.len();
        // The keys are transposed to `[head_dim][TOGETHER]`; missing keys are zeros.
        let mut of_channel = vec![[0.0f64; TOGETHER]; dim];
        for (at, key) in keys.chunks_exact(dim).enumerate() {
            of_channel.iter_mut().zip(key).for_each(|(channel, &k)| channel[at] = f64::from(k));
        }
        let dot = |row: &[f64]| {
            let mut sums = [0.0; TOGETHER];
            for (x, keys) in row.iter().zip(&of_channel) {
                sums.iter_mut().zip(keys).for_each(|(sum, k)| *sum += k * x);
            }
            sums
        };
        let (of_mean, mut of_spread) = (dot(&self.mean), [0.0; TOGETHER]);
        for (row, keys) in self.covariance.chunks_exact(dim).zip(&of_channel) {
            let projected = dot(row);
            for ((sum, p), k) in of_spread.iter_mut().zip(projected).zip(keys) {
                *sum += p * k;
            }
        }
        let dim = dim as f64;
        std::array::from_fn(|at| of_mean[at] / dim.sqrt() + of_spread[at] / (2.0 * dim))
    }
}

/// Returns the transposed matrix. A rotated covariance is not exactly symmetric because of rounding.
fn transposed(matrix: &[f64], side: usize) -> Vec<f64> {
    (0..side).flat_map(|column| matrix.iter().skip(column).step_by(side)).copied().collect()
}

/// The number of keys for which the covariance is read once.
const TOGETHER: usize = 8;

/// Returns the attention that the future queries of one query head are expected to pay to each of `keys`,
/// `[tokens * head_dim]`, if the queries are normally distributed. The result is `[tokens]` and sums to 1.
///
/// Source: Devoto et al. 2025 (Expected Attention), arXiv:2510.00636.
pub fn expected_attention(queries: &QueryMoments, keys: &[f32]) -> Vec<f64> {
    let head_dim = queries.mean.len();
    let log_weights = |keys: &[f32]| queries.log_weights(keys).into_iter().take(keys.len() / head_dim);
    let mut weights: Vec<f64> = keys.chunks(TOGETHER * head_dim).flat_map(log_weights).collect();
    softmax(&mut weights);
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_a_normal_distribution() {
        // At position 0 nothing is rotated. z = mean.k / sqrt(2) + k^T C k / 4.
        let here = MeanRotation::new(0, 1, 2, 10_000.0, &[]);
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
