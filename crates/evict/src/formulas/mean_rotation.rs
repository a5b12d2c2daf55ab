//! The rotary embedding averaged over positions.

/// The mean of the rotary embedding's rotation matrices over a range of positions. It rotates the mean and
/// the covariance of queries whose exact position in the range is not known.
///
/// Channel `i` is rotated with channel `i + head_dim / 2` by `position * theta^(-2i / head_dim)`. Frequencies
/// and angles are rounded to `f32` as models in `f32` round them: at position 1000 that already makes a
/// difference of 1e-5 of a turn.
pub struct MeanRotation {
    cos: Vec<f64>,
    sin: Vec<f64>,
}

impl MeanRotation {
    /// Returns the mean rotation over `count` positions from `start`. `head_dim` must be even, and `theta` is
    /// the base of the frequencies. Each frequency is divided by its factor; without factors, RoPE is not
    /// scaled.
    pub fn new(start: usize, count: usize, head_dim: usize, theta: f64, factors: &[f32]) -> MeanRotation {
        let mean = |pair: usize, part: fn(f64) -> f64| {
            let power = (2 * pair) as f32 / head_dim as f32;
            let frequency = 1.0 / theta.powf(f64::from(power)) as f32;
            let frequency = frequency / factors.get(pair).copied().unwrap_or(1.0);
            let value_at = |position: usize| part(f64::from(position as f32 * frequency));
            (start..start + count).map(value_at).sum::<f64>() / count as f64
        };
        let means = |part| (0..head_dim / 2).map(|pair| mean(pair, part)).collect();
        MeanRotation { cos: means(f64::cos), sin: means(f64::sin) }
    }

    /// Returns `R x` for a vector `x`, `[head_dim]`.
    pub fn vector(&self, x: &[f32]) -> Vec<f64> {
        let mut rotated: Vec<f64> = x.iter().copied().map(f64::from).collect();
        self.rotate(&mut rotated, 1);
        rotated
    }

    /// Returns `R C R^T` for a matrix `C`, `[head_dim * head_dim]`.
    pub fn matrix(&self, c: &[f32]) -> Vec<f64> {
        let dim = 2 * self.cos.len();
        let mut rotated: Vec<f64> = c.iter().copied().map(f64::from).collect();
        // The columns are rotated first; their elements are one row apart. Then the rows are rotated.
        (0..dim).for_each(|column| self.rotate(&mut rotated[column..], dim));
        rotated.chunks_exact_mut(dim).for_each(|row| self.rotate(row, 1));
        rotated
    }

    /// Rotates the vector whose channel `i` is `x[i * stride]`.
    fn rotate(&self, x: &mut [f64], stride: usize) {
        let half = self.cos.len();
        for (i, (cos, sin)) in self.cos.iter().zip(&self.sin).enumerate() {
            let (low, high) = (i * stride, (i + half) * stride);
            (x[low], x[high]) = (cos * x[low] - sin * x[high], cos * x[high] + sin * x[low]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off < 1e-6, "{found:?} is not {expected:?}");
    }

    #[test]
    fn one_position_is_a_rotation() {
        // Pairs (0, 2) by 3 radians and (1, 3) by 3 / 100^(1/2) = 0.3.
        let one = MeanRotation::new(3, 1, 4, 100.0, &[]);
        let (c, s) = (3f64.cos(), 3f64.sin());
        assert_near(&one.vector(&[1.0, 0.0, 0.0, 0.0]), &[c, 0.0, s, 0.0]);
        assert_near(&one.vector(&[0.0, 0.0, 0.0, 2.0]), &[0.0, -2.0 * 0.3f64.sin(), 0.0, 2.0 * 0.3f64.cos()]);
    }

    #[test]
    fn factors_divide_frequencies() {
        let scaled = MeanRotation::new(3, 1, 4, 100.0, &[1.0, 2.0]);
        assert_near(&scaled.vector(&[0.0, 1.0, 0.0, 0.0]), &[0.0, 0.15f64.cos(), 0.0, 0.15f64.sin()]);
    }

    #[test]
    fn a_matrix_is_rotated_from_both_sides() {
        let two = MeanRotation::new(0, 2, 2, 10_000.0, &[]);
        let (c, s) = ((1.0 + 1f64.cos()) / 2.0, 1f64.sin() / 2.0);
        assert_near(&two.matrix(&[1.0, 0.0, 0.0, 0.0]), &[c * c, c * s, c * s, s * s]);
        // R [[0,1],[0,0]] R^T = (c, s)^T (-s, c).
        assert_near(&two.matrix(&[0.0, 1.0, 0.0, 0.0]), &[-c * s, c * c, -s * s, c * s]);
    }
}
