//! The gated MLP with its inner norm.

use crate::{
    Activation, Checkpoint, Result,
    linear::{BitLinear, Quantized},
    norm::RmsNorm,
};

pub(crate) struct Mlp {
    gate_proj: BitLinear,
    up_proj: BitLinear,
    sub_norm: RmsNorm,
    down_proj: BitLinear,
    activation: Activation,
}

impl Mlp {
    pub(crate) fn load(checkpoint: &Checkpoint, layer: usize) -> Result<Self> {
        let [.., gate, up, down] = checkpoint.config().linears(layer);
        let [.., sub_norm] = checkpoint.config().norms(layer);
        Ok(Mlp {
            gate_proj: BitLinear::load(checkpoint, &gate)?,
            up_proj: BitLinear::load(checkpoint, &up)?,
            sub_norm: RmsNorm::load(checkpoint, &sub_norm)?,
            down_proj: BitLinear::load(checkpoint, &down)?,
            activation: checkpoint.config().hidden_act,
        })
    }

    /// `x [tokens, hidden]`, normed, to `[tokens, hidden]`.
    pub(crate) fn forward(&self, x: &Quantized) -> Vec<f32> {
        let (mut inner, up) = (self.gate_proj.forward(x), self.up_proj.forward(x));
        let pairs = inner.iter_mut().zip(&up);
        match self.activation {
            Activation::Relu2 => pairs.for_each(|(g, u)| *g = g.max(0.0) * g.max(0.0) * u),
            Activation::Silu => pairs.for_each(|(g, u)| *g = *g / (1.0 + (-*g).exp()) * u),
        }
        self.down_proj.forward_f32(&self.sub_norm.forward(&inner))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.gate_proj.bytes() + self.up_proj.bytes() + self.down_proj.bytes() + self.sub_norm.bytes()
    }
}
