//! `KnormPress` of kvpress.

use bitkv_evict::{Need, formulas, method};

use crate::{layer::Layer, press::ScorerPress};

method! {
    /// `KnormPress` of kvpress: keeps the tokens with the shortest keys.
    pub(crate) struct Knorm {}
    needs(self) [Need::Keys];
    "kvpress:knorm" from "kvpress KnormPress; Devoto et al. 2024, arXiv:2406.11430",
    "Keeps the tokens with the shortest keys."
}

impl ScorerPress for Knorm {
    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let norms = |head| formulas::row_norms(layer.row(Need::Keys, head), layer.head_dim);
        (0..layer.kv_heads).map(|head| norms(head).into_iter().map(|norm| -norm).collect()).collect()
    }
}
