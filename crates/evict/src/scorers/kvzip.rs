use crate::{Head, Need, Scorer};

method! {
    /// Keeps the tokens that are attended to when the context is repeated word by word: what that
    /// does not look at, no answer needs.
    pub struct Kvzip {}
    needs(self) [Need::Reconstruction];
    "kvzip" from "Kim et al. 2025 (KVzip), arXiv:2505.23416",
    "the tokens most attended to while the context is repeated", pools: false
}

impl Scorer for Kvzip {
    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(head.row(Need::Reconstruction));
    }
}
