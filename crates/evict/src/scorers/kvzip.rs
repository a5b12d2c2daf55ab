use serde::{Deserialize, Serialize};

use super::Scorer;
use crate::{Head, Need, Needs, options::Options, registry::Method};

/// Keeps the tokens that are attended to when the context is repeated word by word: what that
/// does not look at, no answer needs.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Kvzip {}

impl Options for Kvzip {}

impl Method for Kvzip {
    const NAME: &'static str = "kvzip";
    const SOURCE: &'static str = "Kim et al. 2025 (KVzip), arXiv:2505.23416";
    const DESCRIPTION: &'static str = "the tokens most attended to while the context is repeated";
    const POOLS: bool = false;
}

impl Scorer for Kvzip {
    fn needs(&self) -> Needs {
        [Need::Reconstruction].into()
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(head.row(Need::Reconstruction));
    }
}
