use serde::{Deserialize, Serialize};

use super::Scorer;
use crate::{Head, Need, Needs, options::Options, registry::Method};

/// Keeps the tokens whose keys are short: in trained models a short key tends to attract
/// attention.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct KeyNorm {}

impl Options for KeyNorm {}

impl Method for KeyNorm {
    const NAME: &'static str = "key-norm";
    const SOURCE: &'static str = "Devoto et al. 2024, arXiv:2406.11430";
    const DESCRIPTION: &'static str = "the tokens with the shortest keys";
}

impl Scorer for KeyNorm {
    fn needs(&self) -> Needs {
        [Need::Keys].into()
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        for (s, key) in out.iter_mut().zip(head.keys().chunks_exact(head.head_dim())) {
            // In f64 the squares of large keys do not overflow.
            let squares: f64 = key.iter().map(|&x| f64::from(x).powi(2)).sum();
            *s = -squares.sqrt() as f32;
        }
    }
}
