//! The steps of a forward pass, and how large their results are.

/// A step, in the order of the forward pass.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "the names in `name` say it")]
pub enum Step {
    Embedding,
    InputNorm,
    /// Before RoPE, as the keys.
    Q,
    K,
    V,
    /// Heads side by side, before any sub-norm.
    Attention,
    AttentionSubNorm,
    O,
    /// The residual stream behind attention.
    AttentionResidual,
    PostAttentionNorm,
    Gate,
    Up,
    /// `act(gate) * up`.
    Activation,
    MlpSubNorm,
    Down,
    /// The residual stream behind the layer.
    Output,
    FinalNorm,
    Logits,
}

impl Step {
    /// The name in tables and files.
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

/// How large one step's result is.
#[derive(Clone, Debug, PartialEq)]
pub struct StepNorms {
    /// Which step.
    pub step: Step,
    /// Of which layer; `None` in front of the first and behind the last.
    pub layer: Option<usize>,
    /// Features of a token.
    pub width: usize,
    /// Euclidean norm of every token's features, `[tokens]`.
    pub norms: Vec<f64>,
    /// Largest magnitude of all.
    pub largest: f32,
    /// Values that are infinite or no numbers.
    pub not_finite: usize,
}

impl StepNorms {
    /// Norms of `values [tokens, width]`.
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

    /// `layer.step`, or the step alone outside the layers.
    pub fn name(&self) -> String {
        let step = self.step.name();
        self.layer.map_or_else(|| step.into(), |layer| format!("{layer}.{step}"))
    }

    /// Euclidean norm of all tokens' features together.
    pub fn total(&self) -> f64 {
        self.norms.iter().map(|n| n * n).sum::<f64>().sqrt()
    }
}
