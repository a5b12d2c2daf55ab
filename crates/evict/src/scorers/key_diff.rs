use serde::{Deserialize, Serialize};

use super::Scorer;
use crate::{Head, Need, Needs, formulas, options::Options, registry::Method};

/// Keeps the tokens whose keys point away from the mean direction of all keys: what looks like
/// every other key adds little.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct KeyDiff {}

impl Options for KeyDiff {}

impl Method for KeyDiff {
    const NAME: &'static str = "key-diff";
    const SOURCE: &'static str = "Park et al. 2025 (KeyDiff), arXiv:2504.15364";
    const DESCRIPTION: &'static str = "the tokens whose keys are least like the mean key";
    const POOLS: bool = false;
}

impl Scorer for KeyDiff {
    fn needs(&self) -> Needs {
        [Need::Keys].into()
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(&formulas::key_diff(head.keys(), head.head_dim()));
    }
}
