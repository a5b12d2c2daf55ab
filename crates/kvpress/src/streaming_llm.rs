//! `StreamingLLMPress` of kvpress.

use bitkv_evict::{Reason, Shape, method};

use crate::{checks, layer::Layer, press::ScorerPress};

method! {
    /// `StreamingLLMPress` of kvpress: keeps the first and the last tokens.
    pub(crate) struct StreamingLlm {
        /// The number of first tokens that are kept.
        n_sink: usize = 4,
    }
    "kvpress:streaming_llm" from "kvpress StreamingLLMPress; Xiao et al. 2023, arXiv:2309.17453",
    "Keeps the first and the last tokens."
}

impl ScorerPress for StreamingLlm {
    fn refuse(&self, shape: Shape) -> Result<(), Reason> {
        checks::more_tokens_than("n_sink", self.n_sink, shape)
    }

    fn follows_budget(&self) -> bool {
        true
    }

    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let pruned = self.n_sink..self.n_sink + layer.tokens - layer.kept;
        let score = |position: usize| if pruned.contains(&position) { 0.0 } else { 1.0 };
        vec![(0..layer.tokens).map(score).collect(); layer.kv_heads]
    }
}
