//! The scorer `kvzip`.

use crate::{Head, Need, Scorer};

method! {
    /// Keeps the tokens that are attended to when the context is repeated word by word. A token that the
    /// repetition does not attend to is assumed to be needed by no answer.
    pub struct Kvzip {}
    needs(self) [Need::Reconstruction];
    "kvzip" from "Kim et al. 2025 (KVzip), arXiv:2505.23416",
    "Keeps the tokens most attended to while the context is repeated.", pools: false,
    formula: "The maximum, over the group and the queries, of the attention to `j` while the context is \
         repeated.",
    differences: "The context is repeated in chunks that fit the model's positions: 2048 tokens in the paper, but \
         about 100 if a text fills most of 1024 positions. Scores of texts of different lengths are then \
         computed with different chunks."
}

impl Scorer for Kvzip {
    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(head.row(Need::Reconstruction));
    }
}
