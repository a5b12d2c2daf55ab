//! The scorer `oracle`.

use crate::{Head, Need, Scorer};

method! {
    /// Keeps the tokens that the queries of the continuation will attend to most. It is not a method, because
    /// no cache can know these queries. With uniform shares, no other choice retains more of their attention,
    /// pooled over the group. This does not bound other allocators, nor the divergence of outputs.
    pub struct Oracle {}
    needs(self) [Need::Future];
    "oracle" from "control of this suite",
    "Keeps the tokens that the continuation will attend to most, which no cache can know.", role: Oracle,
    formula: "The attention of the continuation to `j`.",
    differences: "It is not a method. With `uniform` it retains the most attention that any choice can, pooled \
         over the group as it is; that bounds neither other allocators nor KL."
}

impl Scorer for Oracle {
    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(&head.pooled(Need::Future));
    }
}
