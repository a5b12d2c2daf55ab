//! `TOVAPress` of kvpress.

use bitkv_evict::{Need, method};

use crate::{
    layer::Layer,
    press::{self, ScorerPress},
};

method! {
    /// `TOVAPress` of kvpress: keeps the last token, and the tokens to which its query pays the most
    /// attention, averaged over all heads of the layer.
    pub(crate) struct Tova {}
    needs(self) [Need::Window(1)];
    "kvpress:tova" from "kvpress TOVAPress; Oren et al. 2024, arXiv:2401.06104",
    "Keeps the tokens that the last query attends to, the same for all heads of a layer."
}

impl ScorerPress for Tova {
    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let mut scores = layer.mean(Need::Window(1));
        scores.pop();
        scores.push(press::protected_score(std::slice::from_ref(&scores)));
        vec![scores; layer.kv_heads]
    }
}
