//! The scorer `recency`.

use crate::{Head, Scorer};

method! {
    /// Keeps the latest tokens. With the guard's sinks this is StreamingLLM, at true positions.
    pub struct Recency {}
    "recency" from "Xiao et al. 2023 (StreamingLLM), arXiv:2309.17453",
    "the latest tokens",
    formula: "`j`",
    differences: "keys are rotated to cache positions there"
}

impl Scorer for Recency {
    fn incomparable(&self) -> Option<&'static str> {
        Some("recency gives every head the same scores")
    }

    fn score(&self, _: &Head<'_>, out: &mut [f32]) {
        // Of positions that an f32 cannot tell apart, selection keeps the later anyway.
        out.iter_mut().enumerate().for_each(|(i, s)| *s = i as f32);
    }
}
