//! The model that is trained: a small BitNet with full-precision master weights.

use std::sync::Arc;

use bitkv_kernels::training::{Attention, Gate, Scores};
use candle_core::{Device, Result, Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::{
    ops::{BitLinear, CausalAttention, Glu, LmHeadCrossEntropy, Precision, RmsNorm},
    recipe::WeightInit,
    weight_init,
};

/// The published model whose structure a model follows.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// The structure and the tensor names of 1bitLLM/bitnet_b1_58-large, with a SiLU gate.
    Large,
    /// The structure and the tensor names of microsoft/BitNet-b1.58-2B-4T, with a squared ReLU gate.
    #[serde(rename = "2b-4t")]
    TwoB4T,
}

/// The shape of a model.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Shape {
    /// The published model whose structure the model follows.
    pub style: Style,
    /// The number of tokens in the vocabulary, a multiple of 32.
    pub vocabulary: usize,
    /// The width of the residual stream, a multiple of 32.
    pub hidden: usize,
    /// The width of the feed-forward layer, a multiple of 32.
    pub intermediate: usize,
    /// The number of layers.
    pub layers: usize,
    /// The number of query heads per layer.
    pub query_heads: usize,
    /// The number of KV heads per layer.
    pub kv_heads: usize,
    /// The width of a head, a multiple of 32.
    pub head_dim: usize,
    /// The base of the rotary frequencies.
    pub rope_theta: u32,
    /// The largest number of tokens in a training sequence.
    pub max_positions: usize,
}

/// The term that every norm adds to the mean square.
pub(crate) const EPS: f32 = 1e-5;

/// A named tensor that is trained.
#[derive(Debug)]
pub struct Parameter {
    /// The name: `embed`, `norm` or `layers.{i}.{part}`.
    pub name: String,
    /// The full-precision values.
    pub var: Var,
    /// Whether weight decay applies; it applies to matrices except the embedding.
    pub decay: bool,
}

/// A model that can be trained. Its parameters are in a fixed order: the embedding, eight parameters per
/// layer, the final norm.
#[derive(Debug)]
pub struct Model {
    /// The shape.
    pub shape: Shape,
    /// The trained parameters, in the order of [`Shape::parameters`].
    pub parameters: Vec<Parameter>,
}

/// The number of parameters per layer.
const PARTS: usize = 8;

impl Model {
    /// Returns a new model with random weights from `seed`.
    ///
    /// # Errors
    /// Fails if candle cannot create a variable.
    pub fn new(shape: &Shape, start: &WeightInit, seed: u64) -> Result<Model> {
        let values = weight_init::initial_values(shape, start, seed);
        let parameters = shape.parameters().into_iter().zip(values).map(|((name, dims), values)| {
            let var = Var::from_vec(values, dims.as_slice(), &Device::Cpu)?;
            Ok(Parameter { decay: dims.len() == 2 && name != "embed", name, var })
        });
        let parameters = parameters.collect::<Result<_>>()?;
        Ok(Model { shape: shape.clone(), parameters })
    }

    /// The number of values that are trained.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|p| p.var.elem_count()).sum()
    }

    /// The parameter at this index.
    pub fn tensor(&self, index: usize) -> &Tensor {
        self.parameters[index].var.as_tensor()
    }

    /// The parameter with index `part` within layer `layer`, in the order of [`Shape::parameters`].
    pub fn layer_tensor(&self, layer: usize, part: usize) -> &Tensor {
        self.tensor(1 + layer * PARTS + part)
    }

    /// Returns the mean loss over the targets of `batch`, in nats, and the loss and prediction of each
    /// position. If `train` is true, the gradients are computed too.
    ///
    /// # Errors
    /// Fails if the batch does not fit the model.
    pub fn loss(&self, batch: &Batch, precision: Precision, train: bool) -> Result<(Tensor, Scores)> {
        let s = &self.shape;
        let attention =
            Attention::new(batch.length, s.query_heads, s.kv_heads, s.head_dim, s.rope_theta as f64);
        let attention = Arc::new(attention);
        let ids = Tensor::from_slice(&batch.tokens, batch.tokens.len(), &Device::Cpu)?;
        let mut hidden = self.tensor(0).index_select(&ids, 0)?;
        for layer in 0..s.layers {
            hidden = self.block(&hidden, layer, &attention, precision)?;
        }
        let hidden = hidden.apply_op2(self.tensor(self.parameters.len() - 1), RmsNorm { eps: EPS })?;
        let (lm_head, scores) = LmHeadCrossEntropy::new(batch.targets.clone(), train);
        let loss = hidden.apply_op2(self.tensor(0), lm_head)?;
        let scores = std::mem::take(&mut *scores.lock().expect("the forward pass is over"));
        Ok((loss, scores))
    }

    /// Runs one layer.
    fn block(
        &self,
        x: &Tensor,
        layer: usize,
        attention: &Arc<Attention>,
        precision: Precision,
    ) -> Result<Tensor> {
        let (s, w) = (&self.shape, |part| self.layer_tensor(layer, part));
        let (queries, keys) = (s.query_heads * s.head_dim, s.kv_heads * s.head_dim);
        let norm = || RmsNorm { eps: EPS };
        let linear = |segments: &[usize]| BitLinear::new(segments, precision);
        let a = x.apply_op2(w(0), norm())?.apply_op2(w(1), linear(&[queries, keys, keys]))?;
        let a = a.apply_op1(CausalAttention::new(attention.clone(), queries))?;
        let a = a.apply_op2(w(2), norm())?.apply_op2(w(3), linear(&[s.hidden]))?;
        let x = (x + a)?;
        let m = x.apply_op2(w(4), norm())?.apply_op2(w(5), linear(&[s.intermediate, s.intermediate]))?;
        let m = m.apply_op1(Glu(s.gate()))?.apply_op2(w(6), norm())?.apply_op2(w(7), linear(&[s.hidden]))?;
        x + m
    }
}

impl Shape {
    /// The activation of the gate.
    pub fn gate(&self) -> Gate {
        match self.style {
            Style::Large => Gate::Silu,
            Style::TwoB4T => Gate::ReluSquared,
        }
    }

    /// Returns the name and the dimensions of every parameter, in order.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let (d, f) = (self.hidden, self.intermediate);
        let (q, kv) = (self.query_heads * self.head_dim, self.kv_heads * self.head_dim);
        let mut all = vec![("embed".to_owned(), vec![self.vocabulary, d])];
        for layer in 0..self.layers {
            let parts: [(&str, Vec<usize>); PARTS] = [
                ("input_norm", vec![d]),
                ("qkv", vec![q + 2 * kv, d]),
                ("attn_sub_norm", vec![q]),
                ("o", vec![d, q]),
                ("post_norm", vec![d]),
                ("gate_up", vec![2 * f, d]),
                ("ffn_sub_norm", vec![f]),
                ("down", vec![d, f]),
            ];
            all.extend(parts.map(|(part, dims)| (format!("layers.{layer}.{part}"), dims)));
        }
        all.push(("norm".to_owned(), vec![d]));
        all
    }
}

/// Sequences of equal length, and the token that each position should predict.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The number of tokens per sequence.
    pub length: usize,
    /// The tokens, `[sequences * length]`.
    pub tokens: Vec<u32>,
    /// The targets, `[sequences * length]`; `u32::MAX` at positions that are not scored.
    pub targets: Vec<u32>,
}
