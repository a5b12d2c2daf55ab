//! The gated MLP, with its inner norm where the architecture has one.

use bitkv_checkpoint::{Activation, Checkpoint};

use crate::{
    Result, Step,
    linear::{Activations, BitLinear},
    norm::RmsNorm,
    recorder::Recorder,
};

pub(crate) struct Mlp {
    gate_proj: BitLinear,
    up_proj: BitLinear,
    sub_norm: Option<RmsNorm>,
    down_proj: BitLinear,
    activation: Activation,
}

impl Mlp {
    pub(crate) fn load(checkpoint: &Checkpoint, layer: usize) -> Result<Self> {
        let [.., gate, up, down] = checkpoint.config().linears(layer);
        let sub_norm = checkpoint.config().norms(layer).mlp_sub;
        Ok(Mlp {
            gate_proj: BitLinear::load(checkpoint, &gate)?,
            up_proj: BitLinear::load(checkpoint, &up)?,
            sub_norm: sub_norm.map(|norm| RmsNorm::load(checkpoint, &norm)).transpose()?,
            down_proj: BitLinear::load(checkpoint, &down)?,
            activation: checkpoint.config().hidden_act,
        })
    }

    /// `x [tokens, hidden]`, normed, to `[tokens, hidden]`.
    pub(crate) fn forward(&self, x: &Activations, see: &mut Recorder<'_>) -> Vec<f32> {
        let (mut inner, up) = (self.gate_proj.forward(x), self.up_proj.forward(x));
        see.step(Step::Gate, &inner);
        see.step(Step::Up, &up);
        let pairs = inner.iter_mut().zip(&up);
        match self.activation {
            Activation::Relu2 => pairs.for_each(|(g, u)| *g = g.max(0.0) * g.max(0.0) * u),
            Activation::Silu => pairs.for_each(|(g, u)| *g = *g / (1.0 + (-*g).exp()) * u),
        }
        see.step(Step::Activation, &inner);
        if let Some(norm) = &self.sub_norm {
            inner = norm.forward(&inner);
            see.step(Step::MlpSubNorm, &inner);
        }
        let out = self.down_proj.forward_f32(inner);
        see.step(Step::Down, &out);
        out
    }

    pub(crate) fn bytes(&self) -> usize {
        let norm = self.sub_norm.as_ref().map_or(0, RmsNorm::bytes);
        self.gate_proj.bytes() + self.up_proj.bytes() + self.down_proj.bytes() + norm
    }
}
