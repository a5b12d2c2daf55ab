use serde::{Deserialize, Serialize};

use super::{
    Layer,
    press::{self, ScorerPress},
};
use crate::{Need, Needs, options::Options, registry::Method};

/// kvpress' `TOVAPress`: what the last query attends to, on the mean over all heads of the
/// layer, and its own token.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Tova {}

impl Options for Tova {}

impl Method for Tova {
    const NAME: &'static str = "kvpress:tova";
    const SOURCE: &'static str = "kvpress TOVAPress; Oren et al. 2024, arXiv:2401.06104";
    const DESCRIPTION: &'static str = "what the last query attends to, one set for all heads of a layer";
}

impl ScorerPress for Tova {
    fn needs(&self) -> Needs {
        [Need::Window(1)].into()
    }

    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let mut scores = layer.mean(Need::Window(1));
        scores.pop();
        scores.push(press::above(std::slice::from_ref(&scores)));
        vec![scores; layer.kv_heads]
    }
}
