//! AdamW for all parameters. The gradient is clipped by its norm over all parameters.

use bitkv_kernels::training::{AdamW, adamw, sum_of_squares};
use candle_core::{Device, Tensor, backprop::GradStore};

use crate::{Error, Result, model::Model, ops::with_floats};

/// The largest norm of the gradient over all parameters; a longer gradient is scaled down to it.
const CLIP: f64 = 1.0;

/// The state of AdamW: master weights, moments and the gradient of the current step. Each is one flat list in
/// the order of the parameters of the model.
#[derive(Debug)]
pub struct Optimizer {
    pub(crate) weights: Vec<Vec<f32>>,
    pub(crate) first_moments: Vec<Vec<f32>>,
    pub(crate) second_moments: Vec<Vec<f32>>,
    gradient: Vec<Vec<f32>>,
    /// The number of steps that were run.
    pub(crate) steps: usize,
}

impl Optimizer {
    /// Returns an optimizer for `model` with all moments 0.
    ///
    /// # Errors
    /// Fails if candle cannot copy the weights.
    pub fn new(model: &Model) -> Result<Optimizer> {
        let weights: Vec<Vec<f32>> = model
            .parameters
            .iter()
            .map(|p| p.var.flatten_all()?.to_vec1())
            .collect::<candle_core::Result<_>>()?;
        let zeros: Vec<Vec<f32>> = weights.iter().map(|w| vec![0.0; w.len()]).collect();
        Ok(Optimizer {
            weights,
            first_moments: zeros.clone(),
            second_moments: zeros.clone(),
            gradient: zeros,
            steps: 0,
        })
    }

    /// Adds the gradients of one micro-batch to the gradient of the current step.
    ///
    /// # Errors
    /// Fails if a parameter has no gradient.
    pub fn accumulate(&mut self, model: &Model, gradients: &GradStore) -> Result<()> {
        for (sum, p) in self.gradient.iter_mut().zip(&model.parameters) {
            let missing = || Error::NoGradient { parameter: p.name.clone() };
            let g = gradients.get(&p.var).ok_or_else(missing)?;
            with_floats(g, |g| sum.iter_mut().zip(g).for_each(|(sum, g)| *sum += g))?;
        }
        Ok(())
    }

    /// Updates the model with the accumulated gradient and clears the gradient. Returns the norm of the
    /// gradient before clipping.
    ///
    /// # Errors
    /// Fails if the gradient is not finite. An error leaves the model unchanged.
    pub fn step(&mut self, model: &Model, rate: f32, decay: f32) -> Result<f32> {
        let norm = self.gradient.iter().map(|g| sum_of_squares(g)).sum::<f64>().sqrt();
        if !norm.is_finite() {
            return Err(Error::NotFinite { step: self.steps + 1 });
        }
        self.steps += 1;
        for (i, p) in model.parameters.iter().enumerate() {
            let options = AdamW {
                rate,
                betas: (0.9, 0.95),
                eps: 1e-8,
                decay: if p.decay { decay } else { 0.0 },
                gradient_scale: (CLIP / norm.max(CLIP)) as f32,
                step: self.steps as i32,
            };
            let (w, g) = (&mut self.weights[i], &mut self.gradient[i]);
            adamw(options, w, &mut self.first_moments[i], &mut self.second_moments[i], g);
            g.fill(0.0);
            p.var.set(&Tensor::from_slice(w, p.var.shape(), &Device::Cpu)?)?;
        }
        Ok(norm as f32)
    }
}
