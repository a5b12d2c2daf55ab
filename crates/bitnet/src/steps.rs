//! The named steps of a forward pass, and the norms of their results.

/// A step of the forward pass; the variants are in the order of the pass.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "the names in `name` describe them")]
pub enum Step {
    Embedding,
    InputNorm,
    /// Queries, before RoPE.
    Q,
    /// Keys, before RoPE.
    K,
    /// Values.
    V,
    /// The output of attention, all heads concatenated, before any sub-norm.
    Attention,
    AttentionSubNorm,
    O,
    /// The residual stream after attention.
    AttentionResidual,
    PostAttentionNorm,
    Gate,
    Up,
    /// `act(gate) * up`.
    Activation,
    MlpSubNorm,
    Down,
    /// The residual stream after the layer.
    Output,
    FinalNorm,
    Logits,
}

impl Step {
    /// The name of the step in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Step::Embedding => "embedding",
            Step::InputNorm => "input_norm",
            Step::Q => "q",
            Step::K => "k",
            Step::V => "v",
            Step::Attention => "attention",
            Step::AttentionSubNorm => "attention_sub_norm",
            Step::O => "o",
            Step::AttentionResidual => "attention_residual",
            Step::PostAttentionNorm => "post_attention_norm",
            Step::Gate => "gate",
            Step::Up => "up",
            Step::Activation => "activation",
            Step::MlpSubNorm => "mlp_sub_norm",
            Step::Down => "down",
            Step::Output => "output",
            Step::FinalNorm => "final_norm",
            Step::Logits => "logits",
        }
    }
}

/// The norms of one step's result.
#[derive(Clone, Debug, PartialEq)]
pub struct StepNorms {
    /// The step.
    pub step: Step,
    /// The layer; `None` before the first layer and after the last.
    pub layer: Option<usize>,
    /// The number of features of a token.
    pub width: usize,
    /// The Euclidean norm of each token's features, `[tokens]`.
    pub norms: Vec<f64>,
    /// The largest magnitude of any value.
    pub largest: f32,
    /// The number of values that are infinite or NaN.
    pub not_finite: usize,
}

impl StepNorms {
    /// Computes the norms of `values [tokens, width]`.
    pub fn new(step: Step, layer: Option<usize>, values: &[f32], tokens: usize) -> Self {
        let width = values.len() / tokens;
        let norm = |row: &[f32]| row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        StepNorms {
            step,
            layer,
            width,
            norms: values.chunks_exact(width).map(norm).collect(),
            largest: values.iter().fold(0.0, |a, v| a.max(v.abs())),
            not_finite: values.iter().filter(|v| !v.is_finite()).count(),
        }
    }

    /// Returns the name `LAYER.STEP`, or `STEP` for a step outside the layers.
    pub fn name(&self) -> String {
        let step = self.step.name();
        self.layer.map_or_else(|| step.into(), |layer| format!("{layer}.{step}"))
    }

    /// The Euclidean norm of the features of all tokens together.
    pub fn total(&self) -> f64 {
        self.norms.iter().map(|n| n * n).sum::<f64>().sqrt()
    }
}
