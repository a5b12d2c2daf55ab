use serde::{Deserialize, Serialize};

use super::Scorer;
use crate::{Head, Need, Needs, options::Options, registry::Method};

/// Keeps the tokens that the last query attended to, on average over all query heads of the
/// layer: one ranking for the whole layer. The last token competes like any other.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Tova {}

impl Options for Tova {}

impl Method for Tova {
    const NAME: &'static str = "tova";
    const SOURCE: &'static str = "Oren et al. 2024 (TOVA), arXiv:2401.06104";
    const DESCRIPTION: &'static str = "what the last query attended to, on average over the layer's heads";
    const POOLS: bool = false;
}

impl Scorer for Tova {
    fn needs(&self) -> Needs {
        [Need::Window(1)].into()
    }

    fn incomparable(&self) -> Option<&'static str> {
        Some("`tova` gives all heads of a layer the same scores")
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(&head.layer_mean(Need::Window(1)));
    }
}
