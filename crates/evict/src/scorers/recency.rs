//! The scorer `recency`.

use crate::{Head, Scorer};

method! {
    /// Keeps the latest tokens. With the sinks of the guard this is StreamingLLM, except that tokens keep
    /// their true positions.
    pub struct Recency {}
    "recency" from "Xiao et al. 2023 (StreamingLLM), arXiv:2309.17453",
    "Keeps the latest tokens.",
    formula: "The position `j`.",
    differences: "The paper rotates keys to their positions in the cache."
}

impl Scorer for Recency {
    fn incomparable(&self) -> Option<&'static str> {
        Some("`recency` gives every head the same scores")
    }

    fn score(&self, _: &Head<'_>, out: &mut [f32]) {
        // Selection keeps the later of two positions that are equal in f32.
        out.iter_mut().enumerate().for_each(|(i, s)| *s = i as f32);
    }
}
