//! BitLinear: int8 activations times ternary weights, exactly.

use bitkv_kernels::ternary::{self, Ternary, quantize_activations};

use crate::{Checkpoint, LinearShape, Result};

/// Activations of several tokens as int8 with one factor each; shared by layers with the same input.
pub(crate) struct Quantized {
    values: Vec<i8>,
    scales: Vec<f32>,
}

impl Quantized {
    /// Quantises `x [tokens, width]`.
    pub(crate) fn new(x: &[f32], width: usize) -> Self {
        let mut values = vec![0; x.len()];
        let scales = x
            .chunks_exact(width)
            .zip(values.chunks_exact_mut(width))
            .map(|(x, q)| quantize_activations(x, q))
            .collect();
        Quantized { values, scales }
    }
}

pub(crate) struct BitLinear {
    weights: Ternary,
    scale: f32,
}

impl BitLinear {
    pub(crate) fn load(checkpoint: &Checkpoint, shape: &LinearShape) -> Result<Self> {
        let (weights, scale) = checkpoint.ternary(shape)?;
        Ok(BitLinear { weights, scale })
    }

    /// `[tokens, cols]` to `[tokens, rows]`.
    pub(crate) fn forward(&self, x: &Quantized) -> Vec<f32> {
        let rows = self.weights.rows();
        let mut sums = vec![0; x.scales.len() * rows];
        ternary::matmul(&x.values, &self.weights, &mut sums);
        let mut out = vec![0.0; sums.len()];
        for ((out, sums), scale) in out.chunks_exact_mut(rows).zip(sums.chunks_exact(rows)).zip(&x.scales) {
            let factor = scale * self.scale;
            out.iter_mut().zip(sums).for_each(|(y, sum)| *y = *sum as f32 * factor);
        }
        out
    }

    /// Quantises `x [tokens, cols]` for this layer alone, then as [`BitLinear::forward`].
    pub(crate) fn forward_f32(&self, x: &[f32]) -> Vec<f32> {
        self.forward(&Quantized::new(x, self.weights.cols()))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.weights.bytes() + size_of::<f32>()
    }
}
