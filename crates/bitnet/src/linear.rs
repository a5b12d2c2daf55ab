//! BitLinear: int8 activations times ternary weights, exactly.

use bitkv_checkpoint::{Checkpoint, Linear, LinearShape};
use bitkv_kernels::{
    dense::{self, Dense},
    ternary::{self, Product, Quantized, Ternary},
};
use rayon::prelude::*;

use crate::Result;

/// What goes into a linear layer: shared by layers with the same input.
pub(crate) enum Activations {
    /// Several tokens as int8, with one factor each.
    Quantized(Quantized),
    /// As they are: the llama skeleton quantises nothing.
    Floats(Vec<f32>),
}

impl Activations {
    /// Quantises `x [tokens, width]`, or keeps it for a skeleton.
    pub(crate) fn new(x: Vec<f32>, width: usize, skeleton: bool) -> Self {
        if skeleton {
            return Activations::Floats(x);
        }
        Activations::Quantized(Quantized::of(&x, width))
    }
}

pub(crate) enum BitLinear {
    Ternary {
        weights: Ternary,
        scale: f32,
    },
    /// Masters, or ternary weights times their scale, read from the file whenever they are needed.
    Skeleton(Linear),
}

impl BitLinear {
    pub(crate) fn load(checkpoint: &Checkpoint, shape: &LinearShape) -> Result<Self> {
        let linear = checkpoint.linear(shape)?;
        // Code 3 is refused for a skeleton too.
        let weights = Ternary::pack_codes(shape.rows, shape.cols, |row, out| linear.codes(row, out))
            .map_err(|bad| linear.invalid_code(bad.row, bad.column))?;
        if checkpoint.config().skeleton {
            return Ok(BitLinear::Skeleton(linear));
        }
        // The file's copy need not stay in memory beside ours.
        linear.bytes().release();
        Ok(BitLinear::Ternary { weights, scale: linear.multiplier() })
    }

    /// `[tokens, cols]` to `[tokens, rows]`.
    pub(crate) fn forward(&self, x: &Activations) -> Vec<f32> {
        match (self, x) {
            (BitLinear::Ternary { weights, scale }, Activations::Quantized(x)) => {
                let mut out = vec![0.0; x.tokens() * weights.rows()];
                ternary::linear(x, &mut [Product { weights, scale: *scale, out: &mut out }]);
                out
            }
            (BitLinear::Skeleton(linear), Activations::Floats(x)) => {
                let write = |row: usize, out: &mut [f32]| linear.floats(row, out);
                let shape = linear.shape();
                dense::matmul(x, shape.cols, Dense::Rows { rows: shape.rows, write: &write })
            }
            _ => unreachable!("layers and activations of a model are both quantised, or neither is"),
        }
    }

    /// Quantises `x [tokens, cols]` for this layer alone, then as [`BitLinear::forward`].
    pub(crate) fn forward_f32(&self, x: Vec<f32>) -> Vec<f32> {
        let cols = match self {
            BitLinear::Ternary { weights, .. } => weights.cols(),
            BitLinear::Skeleton(linear) => linear.shape().cols,
        };
        self.forward(&Activations::new(x, cols, matches!(self, BitLinear::Skeleton(_))))
    }

    /// All weights as f32, `[rows, cols]`: codes times the scale, or the masters of a skeleton.
    pub(crate) fn dequantised(&self) -> Vec<f32> {
        let (rows, cols) = match self {
            BitLinear::Ternary { weights, .. } => (weights.rows(), weights.cols()),
            BitLinear::Skeleton(linear) => (linear.shape().rows, linear.shape().cols),
        };
        let mut out = vec![0.0; rows * cols];
        out.par_chunks_exact_mut(cols).enumerate().for_each(|(row, out)| match self {
            BitLinear::Ternary { weights, scale } => {
                out.iter_mut().zip(weights.row(row)).for_each(|(w, code)| *w = f32::from(code) * scale);
            }
            BitLinear::Skeleton(linear) => linear.floats(row, out),
        });
        out
    }

    /// Bytes held in memory or mapped.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            BitLinear::Ternary { weights, .. } => weights.bytes() + size_of::<f32>(),
            BitLinear::Skeleton(linear) => linear.bytes().len(),
        }
    }
}
