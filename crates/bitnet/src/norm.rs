//! The RMS norm, in f32.

use bitkv_checkpoint::{Checkpoint, NormShape};
use bitkv_kernels::elementwise::Norm;

use crate::Result;

/// The weights of an RMS norm.
pub(crate) struct RmsNorm {
    weight: Vec<f32>,
    eps: f64,
}

impl RmsNorm {
    pub(crate) fn load(checkpoint: &Checkpoint, shape: &NormShape) -> Result<Self> {
        Ok(RmsNorm { weight: checkpoint.norm(shape)?, eps: checkpoint.config().rms_norm_eps })
    }

    /// Returns `x [tokens, width]` times `weight / sqrt(mean(x^2) + eps)`, row by row.
    pub(crate) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len()];
        self.kernel().apply(x, &mut out);
        out
    }

    /// The norm in the form that the kernels take.
    pub(crate) fn kernel(&self) -> Norm<'_> {
        Norm { weight: &self.weight, eps: self.eps }
    }

    /// The weights, `[width]`.
    pub(crate) fn gain(&self) -> &[f32] {
        &self.weight
    }

    pub(crate) fn bytes(&self) -> usize {
        self.weight.len() * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_normed_at_any_width() {
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
