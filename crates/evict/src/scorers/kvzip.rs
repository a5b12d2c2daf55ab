//! The scorer `kvzip`.

use crate::{Head, Need, Scorer};

method! {
    /// Keeps the tokens that are attended to when the context is repeated word by word. A token that the
    /// repetition does not attend to is assumed to be needed by no answer.
    pub struct Kvzip {}
    needs(self) [Need::Reconstruction];
    "kvzip" from "Kim et al. 2025 (KVzip), arXiv:2505.23416",
    "the tokens most attended to while the context is repeated", pools: false,
    formula: "its maximum over the group and the queries",
    differences: "the context is repeated in chunks as long as the positions of the model leave room \
         for: 2048 tokens in the paper, but about 100 where a text fills most of 1024 positions. Scores \
         of texts of two lengths then come of different chunks"
}

impl Scorer for Kvzip {
    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(head.row(Need::Reconstruction));
    }
}
