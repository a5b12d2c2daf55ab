//! `ObservedAttentionPress` of kvpress.

use bitkv_evict::{Need, method};

use crate::{layer::Layer, press::ScorerPress};

method! {
    /// `ObservedAttentionPress` of kvpress: scores a token by the attention that it received, averaged over
    /// the queries that could attend to it.
    pub(crate) struct ObservedAttention {}
    needs(self) [Need::Accumulated];
    "kvpress:observed_attention" from
        "kvpress ObservedAttentionPress; related to Zhang et al. 2023, arXiv:2306.14048",
    "Keeps the tokens with the highest mean attention of all queries that could attend to them."
}

impl ScorerPress for ObservedAttention {
    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let queries = |position: usize| (layer.tokens - position) as f32;
        let scores = |head| {
            let sums = layer.group_mean(Need::Accumulated, head).into_iter().enumerate();
            sums.map(|(position, sum)| sum / queries(position)).collect()
        };
        (0..layer.kv_heads).map(scores).collect()
    }
}
