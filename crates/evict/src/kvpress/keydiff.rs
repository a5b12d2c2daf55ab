use serde::{Deserialize, Serialize};

use super::{Layer, press::ScorerPress};
use crate::{Need, Needs, formulas, options::Options, registry::Method};

/// kvpress' `KeyDiffPress`: the keys least like the mean key.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct KeyDiff {}

impl Options for KeyDiff {}

impl Method for KeyDiff {
    const NAME: &'static str = "kvpress:keydiff";
    const SOURCE: &'static str = "kvpress KeyDiffPress; Park et al. 2025, arXiv:2504.15364";
    const DESCRIPTION: &'static str = "the keys least like the mean key";
}

impl ScorerPress for KeyDiff {
    fn needs(&self) -> Needs {
        [Need::Keys].into()
    }

    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let scores = |head| formulas::key_diff(layer.row(Need::Keys, head), layer.head_dim);
        (0..layer.kv_heads).map(scores).collect()
    }
}
