use serde::{Deserialize, Serialize};

use super::{Layer, press::ScorerPress};
use crate::{Need, Needs, options::Options, registry::Method};

/// kvpress' `ObservedAttentionPress`: the attention that a token received, on the mean over
/// the queries that could attend to it.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ObservedAttention {}

impl Options for ObservedAttention {}

impl Method for ObservedAttention {
    const NAME: &'static str = "kvpress:observed_attention";
    const SOURCE: &'static str =
        "kvpress ObservedAttentionPress; related to Zhang et al. 2023, arXiv:2306.14048";
    const DESCRIPTION: &'static str = "the mean attention of all later queries";
}

impl ScorerPress for ObservedAttention {
    fn needs(&self) -> Needs {
        [Need::Accumulated].into()
    }

    fn scores(&self, layer: &Layer<'_>) -> Vec<Vec<f32>> {
        let queries = |position: usize| (layer.tokens - position) as f32;
        let scores = |head| {
            let sums = layer.group_mean(Need::Accumulated, head).into_iter().enumerate();
            sums.map(|(position, sum)| sum / queries(position)).collect()
        };
        (0..layer.kv_heads).map(scores).collect()
    }
}
