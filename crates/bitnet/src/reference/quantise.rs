//! The two quantisers of BitNet b1.58 in plain candle, with straight-through gradients.
//!
//! Reference: transformers `integrations/bitnet.py`, `ActQuant` and `WeightQuant`.

use candle_core::{D, Module, Result, Tensor};

/// The lower bound of the magnitudes from which the two quantisers compute their scales.
const FLOOR: f64 = 1e-5;

/// What a linear layer rounds in its forward pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rounding {
    /// Weights become ternary, and activations int8. This is right for full-precision masters.
    Both,
    /// Only activations, to int8. This is right for weights that are ternary already.
    Activations,
    /// Nothing. This is right for a plain Llama, for full-precision layers, and for the control of a training
    /// run.
    Nothing,
}

/// Returns `value` in the forward pass; in the backward pass, gradients reach `x` as if the result were `x`
/// (Bengio et al. 2013, arXiv 1308.3432).
///
/// # Errors
/// Fails if the shapes, types or devices differ.
pub fn straight_through(x: &Tensor, value: &Tensor) -> Result<Tensor> {
    x + (value - x)?.detach()
}

/// Rounds to the nearest integer, and ties to the even one, as torch does. [`Tensor::round`] rounds ties away
/// from zero.
///
/// # Errors
/// Fails if candle cannot compute with the type of `x`.
pub fn round_half_even(x: &Tensor) -> Result<Tensor> {
    let is_tie = (x - x.floor()?)?.eq(0.5)?;
    let even = ((x / 2.0)?.round()? * 2.0)?;
    is_tie.where_cond(&even, &x.round()?)
}

/// Returns activations `[.., width]` rounded to int8, row by row: `round(x * 127 / max|x|)`, divided by the
/// same factor.
///
/// # Errors
/// Fails if candle cannot compute with the type of `x`.
pub fn quantise_activations(x: &Tensor) -> Result<Tensor> {
    let values = x.detach();
    let largest = values.abs()?.max_keepdim(D::Minus1)?.maximum(FLOOR)?;
    let scale = (largest.ones_like()? * 127.0)?.div(&largest)?;
    let codes = round_half_even(&values.broadcast_mul(&scale)?)?.clamp(-128.0, 127.0)?;
    straight_through(x, &codes.broadcast_div(&scale)?)
}

/// Returns a master matrix with every weight rounded to -1, 0 or 1 times the mean magnitude of all weights.
///
/// # Errors
/// Fails if candle cannot compute with the type of `weight`.
pub fn ternarise(weight: &Tensor) -> Result<Tensor> {
    let values = weight.detach();
    // The mean of each row is computed first, because one long sum in f32 would be inexact.
    let mean = values.abs()?.mean(D::Minus1)?.mean_all()?.maximum(FLOOR)?;
    let codes = round_half_even(&values.broadcast_div(&mean)?)?.clamp(-1.0, 1.0)?;
    straight_through(weight, &codes.broadcast_mul(&mean)?)
}

/// A linear layer: `x [.., cols]` times the transpose of `weight [rows, cols]`, plus the bias.
#[derive(Clone, Debug)]
pub struct Linear {
    /// The weights, `[rows, cols]`.
    pub weight: Tensor,
    /// The bias, `[rows]`, if the layer has one.
    pub bias: Option<Tensor>,
    /// What the layer rounds in its forward pass.
    pub rounding: Rounding,
}

impl Module for Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let weight = match self.rounding {
            Rounding::Both => ternarise(&self.weight)?,
            Rounding::Activations | Rounding::Nothing => self.weight.clone(),
        };
        let product = candle_nn::Linear::new(weight, self.bias.clone());
        match self.rounding {
            Rounding::Nothing => product.forward(x),
            Rounding::Both | Rounding::Activations => product.forward(&quantise_activations(x)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn row(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    fn values(x: &Tensor) -> Vec<f32> {
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn ties_go_to_the_even_integer() {
        let x = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 126.5, -127.5, 0.499_999_97, -0.500_000_06, 0.7, -3.2, 0.0];
        let expected: Vec<f32> = x.iter().map(|x: &f32| x.round_ties_even()).collect();
        assert_eq!(values(&round_half_even(&row(&x)).unwrap()), expected);
        assert_ne!(values(&row(&x).round().unwrap()), expected, "candle rounds ties away from zero");
    }

    #[test]
    fn activations_are_rounded_by_row() {
        let x = Tensor::new(&[[127.0f32, 0.5, 1.5, -2.4], [0.0, 0.0, 0.0, 0.0]], &Device::Cpu).unwrap();
        let rounded = values(&quantise_activations(&x).unwrap());
        assert_eq!(rounded, [127.0, 0.0, 2.0, -2.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn weights_are_rounded_around_half_their_mean_magnitude() {
        // The mean magnitude is 2, so that 1 and -3 are ties.
        let w = row(&[2.0, -2.0, 1.0, -3.0, 0.9, -1.1, 4.0]);
        let mean = values(&w.abs().unwrap().mean_all().unwrap())[0];
        assert_eq!(mean, 2.0);
        assert_eq!(values(&ternarise(&w).unwrap()), [2.0, -2.0, 0.0, -2.0, 0.0, -2.0, 2.0]);
        assert_eq!(values(&ternarise(&row(&[0.0, 0.0])).unwrap()), [0.0, 0.0]);
    }

    /// The gradients of `y = x w^T` are computed from the rounded operands: the gradient of x is the rounded
    /// weights, and the gradient of w is the rounded activations.
    #[test]
    fn gradients_pass_straight_through_both_roundings() {
        let x = Var::new(&[[0.3f32, -1.0, 0.8]], &Device::Cpu).unwrap();
        let weight = Var::new(&[[0.9f32, 0.1, -0.7], [0.2, -1.4, 0.05]], &Device::Cpu).unwrap();
        let layer = Linear { weight: weight.as_tensor().clone(), bias: None, rounding: Rounding::Both };
        let gradients = layer.forward(&x).unwrap().sum_all().unwrap().backward().unwrap();
        let rounded = ternarise(&weight).unwrap();
        assert_eq!(values(gradients.get(&x).unwrap()), values(&rounded.sum(0).unwrap()));
        let rounded = values(&quantise_activations(&x).unwrap());
        assert_eq!(values(gradients.get(&weight).unwrap()), [rounded.clone(), rounded].concat());
    }
}
