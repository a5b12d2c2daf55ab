//! RMS norm in f32.

use bitkv_checkpoint::{Checkpoint, NormShape};

use crate::Result;

pub(crate) struct RmsNorm {
    weight: Vec<f32>,
    eps: f64,
}

impl RmsNorm {
    pub(crate) fn load(checkpoint: &Checkpoint, shape: &NormShape) -> Result<Self> {
        Ok(RmsNorm { weight: checkpoint.norm(shape)?, eps: checkpoint.config().rms_norm_eps })
    }

    /// `x [tokens, width]` times `weight / sqrt(mean(x^2) + eps)`, row by row.
    pub(crate) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let width = self.weight.len();
        let mut out = vec![0.0; x.len()];
        for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let factor = 1.0 / (sum_of_squares(x) / width as f64 + self.eps).sqrt() as f32;
            for ((y, x), w) in out.iter_mut().zip(x).zip(&self.weight) {
                *y = w * (x * factor);
            }
        }
        out
    }

    /// Factors on the features, `[width]`.
    pub(crate) fn gain(&self) -> &[f32] {
        &self.weight
    }

    pub(crate) fn bytes(&self) -> usize {
        self.weight.len() * size_of::<f32>()
    }
}

/// In f64: after a squared ReLU the squares leave the range of f32 long before the values do.
fn sum_of_squares(x: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    let chunks = x.chunks_exact(8);
    for (sum, v) in sums.iter_mut().zip(chunks.remainder()) {
        *sum = f64::from(*v) * f64::from(*v);
    }
    for chunk in chunks {
        for (sum, v) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(*v) * f64::from(*v);
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_counts_at_any_width() {
        for width in 1..40 {
            let norm = RmsNorm { weight: vec![2.0; width], eps: 0.0 };
            let x: Vec<f32> = (0..width).map(|i| i as f32 + 1.0).collect();
            let rms = (x.iter().map(|v| f64::from(v * v)).sum::<f64>() / width as f64).sqrt();
            for (y, x) in norm.forward(&x).iter().zip(&x) {
                assert!((f64::from(*y) - 2.0 * f64::from(*x) / rms).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn huge_values_stay_finite() {
        let norm = RmsNorm { weight: vec![1.0; 4], eps: 1e-5 };
        assert_eq!(norm.forward(&[1e30, -1e30, 1e30, -1e30]), [1.0, -1.0, 1.0, -1.0]);
    }
}
