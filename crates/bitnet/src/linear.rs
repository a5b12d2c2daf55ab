//! The linear layers of a model, and the input that layers share.

use bitkv_checkpoint::{Checkpoint, Linear as Stored, LinearShape};
use bitkv_kernels::{
    dense::{self, Arithmetic, Dense, Instructions, Product},
    ternary::{self, Quantized},
};
use rayon::prelude::*;

use crate::{BitLinear, Result, Step, dense::plain_values, norm::RmsNorm, recorder::Recorder};

/// The forms in which the linear layers of a model take their input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Inputs {
    /// Whether there are ternary layers, which take int8 activations with one scale per token.
    pub(crate) quantised: bool,
    /// Whether there are full-precision layers, which take floats.
    pub(crate) floats: bool,
}

/// The input of linear layers; layers with the same input share it.
pub(crate) struct Activations {
    quantised: Option<Quantized>,
    floats: Option<Vec<f32>>,
}

impl Activations {
    /// Returns an empty input in these forms.
    pub(crate) fn empty(inputs: Inputs) -> Self {
        Activations {
            quantised: inputs.quantised.then(Quantized::default),
            floats: inputs.floats.then(Vec::new),
        }
    }

    /// Sets the input to `x [tokens, width]`.
    pub(crate) fn fill(&mut self, x: &[f32], width: usize) {
        if let Some(quantised) = &mut self.quantised {
            quantised.fill(x, width);
        }
        if let Some(floats) = &mut self.floats {
            floats.clear();
            floats.extend_from_slice(x);
        }
    }

    /// Sets the input to the norm of `x [tokens, width]`. The f32 result of the norm is computed only if a
    /// probe or a full-precision layer needs it.
    pub(crate) fn fill_normed(&mut self, x: &[f32], norm: &RmsNorm, step: Step, recorder: &mut Recorder<'_>) {
        if let Some(quantised) = self.only_quantised(recorder) {
            return norm.kernel().quantise(x, quantised);
        }
        let normed = norm.forward(x);
        recorder.record_step(step, &normed);
        self.fill(&normed, norm.gain().len());
    }

    /// Returns the int8 activations if nothing else needs the input as floats.
    pub(crate) fn only_quantised(&mut self, recorder: &Recorder<'_>) -> Option<&mut Quantized> {
        let Activations { quantised, floats } = self;
        quantised.as_mut().filter(|_| floats.is_none() && !recorder.records_steps())
    }
}

/// A linear layer of a model.
pub(crate) struct Linear {
    weights: Weights,
    /// The bias, `[rows]`.
    bias: Option<Vec<f32>>,
}

/// The weights of a linear layer.
enum Weights {
    Ternary(BitLinear),
    /// Full-precision weights, or the float weights of a plain Llama: masters, or ternary codes times their
    /// scale. They are read from the mapped file at each use.
    Float(Stored, Arithmetic),
}

impl Linear {
    pub(crate) fn load(checkpoint: &Checkpoint, shape: &LinearShape) -> Result<Self> {
        let bias = checkpoint.bias(shape)?;
        let stored = checkpoint.linear(shape)?;
        let plain_llama = checkpoint.config().plain_llama;
        if stored.is_ternary() {
            // Packing checks the codes: the invalid code 3 must be an error for a plain Llama too.
            let packed = BitLinear::pack(&stored)?;
            if !plain_llama {
                // The weights are packed now, so the pages of the file need not stay in memory.
                stored.bytes().release();
                return Ok(Linear { weights: Weights::Ternary(packed), bias });
            }
        }
        Ok(Linear { weights: Weights::Float(stored, Arithmetic::F32), bias })
    }

    /// The form in which the layer takes its input.
    pub(crate) fn is_ternary(&self) -> bool {
        matches!(self.weights, Weights::Ternary(_))
    }

    /// Sets the arithmetic of a full-precision layer.
    pub(crate) fn set_arithmetic(&mut self, arithmetic: Arithmetic) {
        if let Weights::Float(_, own) = &mut self.weights {
            *own = arithmetic;
        }
    }

    /// Returns the instructions that multiply the layer; `None` if it is ternary.
    pub(crate) fn instructions(&self) -> Option<Instructions> {
        match &self.weights {
            Weights::Ternary(_) => None,
            Weights::Float(linear, arithmetic) => {
                let is_bf16 = matches!(plain_floats(linear), Some(Dense::Bf16(_)));
                Some(dense::instructions(*arithmetic, is_bf16))
            }
        }
    }

    /// Returns all weights as f32, `[rows * cols]` row by row: codes times the scale, or floats.
    pub(crate) fn dequantised(&self) -> Vec<f32> {
        match &self.weights {
            Weights::Ternary(layer) => layer.dequantised(),
            Weights::Float(linear, _) => {
                let (rows, cols) = (linear.shape().rows, linear.shape().cols);
                let mut out = vec![0.0; rows * cols];
                out.par_chunks_exact_mut(cols).enumerate().for_each(|(row, out)| linear.floats(row, out));
                out
            }
        }
    }

    /// The bytes of the weights, in memory or in the mapped file.
    pub(crate) fn bytes(&self) -> usize {
        let weights = match &self.weights {
            Weights::Ternary(layer) => layer.bytes(),
            Weights::Float(linear, _) => linear.bytes().len(),
        };
        weights + self.bias.as_ref().map_or(0, |bias| bias.len() * size_of::<f32>())
    }
}

/// Runs layers that share the input `x [tokens, cols]`, all in one parallel loop for each kind of weights.
/// Each layer writes its output `[tokens, rows]` to the buffer beside it.
pub(crate) fn forward_all<const N: usize>(mut layers: [(&Linear, &mut Vec<f32>); N], x: &Activations) {
    if let Some(x) = &x.quantised {
        let mut products = Vec::with_capacity(N);
        for (layer, out) in &mut layers {
            if let Weights::Ternary(layer) = &layer.weights {
                out.resize(x.tokens() * layer.rows(), 0.0);
                products.push(layer.product(out));
            }
        }
        if !products.is_empty() {
            ternary::linear(x, &mut products);
        }
    }
    if let Some(x) = &x.floats {
        multiply_floats(&mut layers, x);
    }
    for (layer, out) in layers {
        let Some(bias) = &layer.bias else { continue };
        out.par_chunks_exact_mut(bias.len()).for_each(|row| {
            row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
        });
    }
}

/// Runs the layers with float weights.
fn multiply_floats(layers: &mut [(&Linear, &mut Vec<f32>)], x: &[f32]) {
    let floats: Vec<_> = layers
        .iter_mut()
        .filter_map(|(layer, out)| match &layer.weights {
            Weights::Float(linear, arithmetic) => Some((linear, *arithmetic, out)),
            Weights::Ternary(_) => None,
        })
        .collect();
    let Some((first, arithmetic, _)) = floats.first() else { return };
    let (cols, arithmetic) = (first.shape().cols, *arithmetic);
    let writers: Vec<_> =
        floats.iter().map(|(linear, ..)| |row: usize, out: &mut [f32]| linear.floats(row, out)).collect();
    let mut products = Vec::with_capacity(floats.len());
    for ((linear, _, out), write) in floats.into_iter().zip(&writers) {
        let rows = linear.shape().rows;
        out.resize(x.len() / cols * rows, 0.0);
        let weights = plain_floats(linear).unwrap_or(Dense::Rows { rows, write });
        products.push(Product { weights, out: out.as_mut_slice() });
    }
    dense::linear(x, cols, arithmetic, &mut products);
}

/// Returns the weights of a layer as they are in the mapped file, if they are floats in the order of the
/// rows.
fn plain_floats(linear: &Stored) -> Option<Dense<'_>> {
    linear.is_stored_as_used().then(|| plain_values(linear.stored())).flatten()
}
