//! The scorer `accumulated-attention`.

use crate::{Head, Need, Scorer, checks};

method! {
    /// Keeps the tokens that received the most attention from all queries so far. The sum favours early
    /// tokens, because more queries could attend to them; `normalised` removes this bias.
    #[serde(rename_all = "kebab-case")]
    pub struct AccumulatedAttention {
        /// Whether the sum is divided by the number of queries that could attend to the token.
        pub normalised: bool = false,
        /// The fraction of a head's share that is reserved for its latest tokens, 0..=1. Allocators that
        /// compare scores between heads ignore it.
        pub recent_part: f64 = 0.0 => checks::fraction,
    }
    needs(self) [Need::Accumulated];
    "accumulated-attention" from
        "Zhang et al. 2023 (H2O), arXiv:2306.14048; normalised: ObservedAttention of kvpress",
    "Keeps the tokens that received the most attention from all queries so far.",
    formula: "The sum of the attention to `j`. `normalised`: divided by the number of queries that could \
         attend to `j`.",
    differences: "H2O reserves half of the share for the latest tokens: `recent-part=0.5`."
}

impl Scorer for AccumulatedAttention {
    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        out.copy_from_slice(&head.pooled(Need::Accumulated));
        if self.normalised {
            let seen_by = |position: u32| (head.tokens_seen() - position as usize) as f32;
            out.iter_mut().zip(head.positions().iter()).for_each(|(s, &p)| *s /= seen_by(p));
        }
    }

    fn rerank(&self, _: &Head<'_>, count: usize, scores: &mut [f32]) {
        let recent = (count as f64 * self.recent_part) as usize;
        let first = scores.len().saturating_sub(recent);
        scores[first..].fill(f32::INFINITY);
    }
}
