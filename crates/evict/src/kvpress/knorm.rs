use serde::{Deserialize, Serialize};

use super::{Layer, press::ScorerPress};
use crate::{Need, Needs, formulas, options::Options, registry::Method};

/// kvpress' `KnormPress`: the shortest keys.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Knorm {}

impl Options for Knorm {}

impl Method for Knorm {
    const NAME: &'static str = "kvpress:knorm";
    const SOURCE: &'static str = "kvpress KnormPress; Devoto et al. 2024, arXiv:2406.11430";
    const DESCRIPTION: &'static str = "the shortest keys";
}

impl ScorerPress for Knorm {
    fn needs(&self) -> Needs {
        [Need::Keys].into()
    }

    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let norms = |head| formulas::row_norms(layer.row(Need::Keys, head), layer.head_dim);
        (0..layer.kv_heads).map(|head| norms(head).into_iter().map(|norm| -norm).collect()).collect()
    }
}
