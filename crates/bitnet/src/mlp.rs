//! The gated MLP, with a norm before the down projection in architectures that have one.

use bitkv_checkpoint::{Activation, Checkpoint};
use bitkv_kernels::elementwise::{self, Gate};

use crate::{
    Result, Step,
    linear::{Activations, Inputs, Linear, forward_all},
    norm::RmsNorm,
    recorder::Recorder,
};

/// The MLP of one layer.
pub(crate) struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    sub_norm: Option<RmsNorm>,
    down_proj: Linear,
    activation: Gate,
    /// The number of features between the projections.
    width: usize,
}

/// Buffers that all layers reuse.
pub(crate) struct Workspace {
    gate: Vec<f32>,
    up: Vec<f32>,
    inner: Activations,
    /// The output, `[tokens, hidden]`.
    pub(crate) out: Vec<f32>,
}

impl Workspace {
    pub(crate) fn new(inputs: Inputs) -> Self {
        let inner = Activations::empty(inputs);
        Workspace { gate: Vec::new(), up: Vec::new(), inner, out: Vec::new() }
    }
}

impl Mlp {
    pub(crate) fn load(checkpoint: &Checkpoint, layer: usize) -> Result<Self> {
        let [.., gate, up, down] = checkpoint.config().linears(layer);
        let sub_norm = checkpoint.config().norms(layer).mlp_sub;
        Ok(Mlp {
            gate_proj: Linear::load(checkpoint, &gate)?,
            up_proj: Linear::load(checkpoint, &up)?,
            sub_norm: sub_norm.map(|norm| RmsNorm::load(checkpoint, &norm)).transpose()?,
            down_proj: Linear::load(checkpoint, &down)?,
            activation: match checkpoint.config().hidden_act {
                Activation::Relu2 => Gate::ReluSquared,
                Activation::Silu => Gate::Silu,
            },
            width: up.rows,
        })
    }

    /// Runs the MLP on the normed input `x [tokens, hidden]` and writes the result to `workspace.out`.
    pub(crate) fn forward(&self, x: &Activations, workspace: &mut Workspace, recorder: &mut Recorder<'_>) {
        let Workspace { gate, up, inner, out } = workspace;
        forward_all([(&self.gate_proj, gate), (&self.up_proj, up)], x);
        recorder.record_step(Step::Gate, gate);
        recorder.record_step(Step::Up, up);
        if let Some(inner) = inner.only_quantised(recorder) {
            let norm = self.sub_norm.as_ref().map(RmsNorm::kernel);
            inner.fill_gated(self.activation, gate, up, self.width, norm);
        } else {
            elementwise::gate(self.activation, gate, up);
            recorder.record_step(Step::Activation, gate);
            match &self.sub_norm {
                Some(norm) => inner.fill_normed(gate, norm, Step::MlpSubNorm, recorder),
                None => inner.fill(gate, self.width),
            }
        }
        forward_all([(&self.down_proj, out)], inner);
        recorder.record_step(Step::Down, out);
    }

    /// The linear layers.
    pub(crate) fn linears(&self) -> [&Linear; 3] {
        [&self.gate_proj, &self.up_proj, &self.down_proj]
    }

    /// The linear layers, to be changed.
    pub(crate) fn linears_mut(&mut self) -> [&mut Linear; 3] {
        [&mut self.gate_proj, &mut self.up_proj, &mut self.down_proj]
    }

    pub(crate) fn bytes(&self) -> usize {
        let norm = self.sub_norm.as_ref().map_or(0, RmsNorm::bytes);
        self.linears().map(Linear::bytes).iter().sum::<usize>() + norm
    }
}
