//! `KeyDiffPress` of kvpress.

use bitkv_evict::{Need, formulas, method};

use crate::{layer::Layer, press::ScorerPress};

method! {
    /// `KeyDiffPress` of kvpress: keeps the tokens whose keys are least like the mean key.
    pub(crate) struct KeyDiff {}
    needs(self) [Need::Keys];
    "kvpress:keydiff" from "kvpress KeyDiffPress; Park et al. 2025, arXiv:2504.15364",
    "Keeps the tokens whose keys are least like the mean key."
}

impl ScorerPress for KeyDiff {
    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let scores = |head| formulas::key_diff(layer.row(Need::Keys, head), layer.head_dim);
        (0..layer.kv_heads).map(scores).collect()
    }
}
