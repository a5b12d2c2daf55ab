//! The scorer `key-diff`.

use crate::{Head, Need, Scorer, formulas};

method! {
    /// Keeps the tokens whose keys point away from the mean direction of all keys: a token whose key is like
    /// every other adds little.
    pub struct KeyDiff {}
    needs(self) [Need::Keys];
    "key-diff" from "Park et al. 2025 (KeyDiff), arXiv:2504.15364",
    "Keeps the tokens whose keys are least like the mean key.", pools: false,
    formula: "Minus the cosine of the key with the mean direction of all keys.",
    differences: "The paper compresses prompts in blocks."
}

impl Scorer for KeyDiff {
    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(&formulas::key_diff(head.keys(), head.head_dim()));
    }
}
