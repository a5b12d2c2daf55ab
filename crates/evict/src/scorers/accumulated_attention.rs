use serde::{Deserialize, Serialize};

use super::Scorer;
use crate::{Head, Need, Needs, options::Options, registry::Method};

/// Keeps the tokens that all queries of the prefill together attended to most.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct AccumulatedAttention {}

impl Options for AccumulatedAttention {}

impl Method for AccumulatedAttention {
    const NAME: &'static str = "accumulated-attention";
    const SOURCE: &'static str = "Zhang et al. 2023 (H2O), arXiv:2306.14048";
    const DESCRIPTION: &'static str = "the tokens that all queries so far attended to most";
}

impl Scorer for AccumulatedAttention {
    fn needs(&self) -> Needs {
        [Need::Accumulated].into()
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(&head.pooled(Need::Accumulated));
    }
}
