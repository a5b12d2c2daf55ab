//! The scorer `critical`.

use super::{base::Base, output_norm::OutputNorm, window_attention::WindowAttention};
use crate::{Head, Scorer, checks, formulas::two_stage, select};

method! {
    /// Fills a head's share in two stages. The first stage keeps the best tokens of another scorer. The
    /// second stage multiplies these scores by a norm that says how much the token's value can change the
    /// output. Allocators compare heads by the scores of the first stage.
    #[serde(rename_all = "kebab-case")]
    pub struct Critical {
        /// The scorer of the first stage, with its own options.
        pub base: Base = Base::usual::<WindowAttention>(),
        /// Which length of the value's output.
        pub norm: OutputNorm = OutputNorm::SubNorm,
        /// What is added to the first stage's scores before they are multiplied.
        pub epsilon: f64 = 1e-4 => checks::part,
        /// The part of the share that the first stage fills, 0..=1.
        pub first_stage: f64 = 0.5 => checks::part,
    }
    needs(self) self.base.scorer.needs().with([self.norm.need()]);
    "critical" from "Feng et al. 2025 (CriticalKV), arXiv:2502.03805",
    "half by another score, half by it times the length of the value's output",
    formula: "first `first-stage` of the share by `base`; then (`base` + `epsilon`) x mean over the \
         group of `||W_o v_j||_1`",
    differences: "`norm='sub-norm'` multiplies the value by the gain of BitNet's norm before `W_o`; \
         `'plain'` is the paper's. It reads what `base` reads besides; `pool` is that of `base`; `tova` \
         and `kvzip` have none"
}

impl Scorer for Critical {
    fn protects(&self) -> usize {
        self.base.scorer.protects()
    }

    fn incomparable(&self) -> Option<&'static str> {
        self.base.scorer.incomparable()
    }

    fn unpooled(&self) -> Option<String> {
        (!self.base.pools).then(|| format!("its base `{}` has a pooling of its own", self.base.spec()))
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        self.base.scorer.score(head, out);
    }

    fn rerank(&self, head: &Head<'_>, count: usize, scores: &mut [f32]) {
        let first = (count as f64 * self.first_stage).floor() as usize;
        let chosen = select::best(scores, first);
        let both = two_stage(scores, &self.norm.of(head), &chosen, self.epsilon as f32);
        // What is protected stays so: infinity times a length of 0 is no number.
        let free = scores.iter_mut().zip(both).filter(|(s, _)| s.is_finite());
        free.for_each(|(s, both)| *s = both);
    }
}
