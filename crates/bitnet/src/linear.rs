//! BitLinear: int8 activations times ternary weights, exactly.

use bitkv_checkpoint::{Checkpoint, Linear, LinearShape};
use bitkv_kernels::{
    dense::{self, Dense},
    ternary::{self, Product, Quantized, Ternary},
};
use rayon::prelude::*;

use crate::{Result, Step, norm::RmsNorm, recorder::Recorder};

/// What goes into a linear layer: shared by layers with the same input.
pub(crate) enum Activations {
    /// Several tokens as int8, with one factor each.
    Quantized(Quantized),
    /// As they are: the llama skeleton quantises nothing.
    Floats(Vec<f32>),
}

impl Activations {
    /// For layers of a skeleton or of a model.
    pub(crate) fn empty(skeleton: bool) -> Self {
        if skeleton { Activations::Floats(Vec::new()) } else { Activations::Quantized(Quantized::default()) }
    }

    /// Takes `x [tokens, width]` as it is.
    pub(crate) fn fill(&mut self, x: &[f32], width: usize) {
        match self {
            Activations::Quantized(quantized) => quantized.fill(x, width),
            Activations::Floats(floats) => copy(floats, x),
        }
    }

    /// Takes `x [tokens, width]` behind a norm; its f32 form exists only where something needs it.
    pub(crate) fn fill_normed(&mut self, x: &[f32], norm: &RmsNorm, step: Step, see: &mut Recorder<'_>) {
        match self {
            Activations::Quantized(quantized) if !see.shows_steps() => norm.kernel().quantise(x, quantized),
            _ => {
                let normed = norm.forward(x);
                see.step(step, &normed);
                self.fill(&normed, norm.gain().len());
            }
        }
    }
}

fn copy(to: &mut Vec<f32>, from: &[f32]) {
    to.clear();
    to.extend_from_slice(from);
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

/// Runs layers that read the same `x [tokens, cols]`, each into its own `[tokens, rows]`, in one round of tasks.
pub(crate) fn together<const N: usize>(layers: [(&BitLinear, &mut Vec<f32>); N], x: &Activations) {
    match x {
        Activations::Quantized(x) => {
            let products = layers.map(|(layer, out)| {
                let BitLinear::Ternary { weights, scale } = layer else { unreachable!("{MIXED}") };
                out.resize(x.tokens() * weights.rows(), 0.0);
                Product { weights, scale: *scale, out }
            });
            ternary::linear(x, &mut { products });
        }
        Activations::Floats(x) => {
            for (layer, out) in layers {
                let BitLinear::Skeleton(linear) = layer else { unreachable!("{MIXED}") };
                let write = |row: usize, out: &mut [f32]| linear.floats(row, out);
                let shape = linear.shape();
                *out = dense::matmul(x, shape.cols, Dense::Rows { rows: shape.rows, write: &write });
            }
        }
    }
}

const MIXED: &str = "layers and activations of a model are both quantised, or neither is";
