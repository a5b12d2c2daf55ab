//! The linear layers of a model, and the input that layers share.

use bitkv_checkpoint::{Checkpoint, Linear as Stored, LinearShape};
use bitkv_kernels::{
    dense::{self, Dense},
    ternary::{self, Quantized},
};
use rayon::prelude::*;

use crate::{BitLinear, Result, Step, norm::RmsNorm, recorder::Recorder};

/// The input of linear layers; layers with the same input share it.
pub(crate) enum Activations {
    /// Int8 activations, with one scale per token.
    Quantized(Quantized),
    /// Unquantised floats, for a plain Llama.
    Floats(Vec<f32>),
}

impl Activations {
    /// Returns an empty input; `plain_llama` selects floats.
    pub(crate) fn empty(plain_llama: bool) -> Self {
        if plain_llama {
            Activations::Floats(Vec::new())
        } else {
            Activations::Quantized(Quantized::default())
        }
    }

    /// Sets the input to `x [tokens, width]`.
    pub(crate) fn fill(&mut self, x: &[f32], width: usize) {
        match self {
            Activations::Quantized(quantized) => quantized.fill(x, width),
            Activations::Floats(floats) => copy(floats, x),
        }
    }

    /// Sets the input to the norm of `x [tokens, width]`. The f32 result of the norm is computed only if a
    /// probe or a plain Llama needs it.
    pub(crate) fn fill_normed(&mut self, x: &[f32], norm: &RmsNorm, step: Step, recorder: &mut Recorder<'_>) {
        match self {
            Activations::Quantized(quantized) if !recorder.records_steps() => {
                norm.kernel().quantise(x, quantized)
            }
            _ => {
                let normed = norm.forward(x);
                recorder.record_step(step, &normed);
                self.fill(&normed, norm.gain().len());
            }
        }
    }
}

/// Replaces the content of the buffer `to` by `from`.
fn copy(to: &mut Vec<f32>, from: &[f32]) {
    to.clear();
    to.extend_from_slice(from);
}

/// A linear layer of a model.
pub(crate) enum Linear {
    Ternary(BitLinear),
    /// The float weights of a plain Llama: masters, or ternary codes times their scale. They are read from
    /// the mapped file at each use.
    Float(Stored),
}

impl Linear {
    pub(crate) fn load(checkpoint: &Checkpoint, shape: &LinearShape) -> Result<Self> {
        if !checkpoint.config().plain_llama {
            return Ok(Linear::Ternary(BitLinear::load(checkpoint, shape)?));
        }
        let stored = checkpoint.linear(shape)?;
        // Packing checks the codes: the invalid code 3 must be an error for a plain Llama too.
        BitLinear::pack(&stored)?;
        Ok(Linear::Float(stored))
    }

    /// Returns all weights as f32, `[rows * cols]` row by row: codes times the scale, or the masters of a
    /// plain Llama.
    pub(crate) fn dequantised(&self) -> Vec<f32> {
        match self {
            Linear::Ternary(layer) => layer.dequantised(),
            Linear::Float(linear) => {
                let (rows, cols) = (linear.shape().rows, linear.shape().cols);
                let mut out = vec![0.0; rows * cols];
                out.par_chunks_exact_mut(cols).enumerate().for_each(|(row, out)| linear.floats(row, out));
                out
            }
        }
    }

    /// The bytes of the weights, in memory or in the mapped file.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Linear::Ternary(layer) => layer.bytes(),
            Linear::Float(linear) => linear.bytes().len(),
        }
    }
}

/// Runs layers that share the input `x [tokens, cols]`, all in one parallel loop. Each layer writes its
/// output `[tokens, rows]` to the buffer beside it.
pub(crate) fn forward_all<const N: usize>(layers: [(&Linear, &mut Vec<f32>); N], x: &Activations) {
    match x {
        Activations::Quantized(x) => {
            let products = layers.map(|(layer, out)| {
                let Linear::Ternary(layer) = layer else { unreachable!("{MIXED}") };
                out.resize(x.tokens() * layer.rows(), 0.0);
                layer.product(out)
            });
            ternary::linear(x, &mut { products });
        }
        Activations::Floats(x) => {
            for (layer, out) in layers {
                let Linear::Float(linear) = layer else { unreachable!("{MIXED}") };
                let write = |row: usize, out: &mut [f32]| linear.floats(row, out);
                let shape = linear.shape();
                *out = dense::matmul(x, shape.cols, Dense::Rows { rows: shape.rows, write: &write });
            }
        }
    }
}

const MIXED: &str = "layers and activations of a model are both quantised, or neither is";
