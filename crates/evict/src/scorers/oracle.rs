//! The scorer `oracle`.

use crate::{Head, Need, Scorer};

method! {
    /// Keeps the tokens that the queries yet to come will attend to most: no method, as none can know
    /// them. With uniform shares no other choice retains more of the attention that it pools over the
    /// group; it bounds neither other allocators nor how far outputs diverge.
    pub struct Oracle {}
    needs(self) [Need::Future];
    "oracle" from "control of this suite",
    "the tokens that the continuation will attend to most, which no cache can know", role: Oracle,
    formula: "the attention",
    differences: "no method: with `uniform` it retains the most attention that any choice can, pooled \
         over the group as it is; that bounds neither other allocators nor KL"
}

impl Scorer for Oracle {
    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(&head.pooled(Need::Future));
    }
}
