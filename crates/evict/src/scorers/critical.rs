//! The scorer `critical`.

use super::{base::BaseScorer, output_norm::OutputNorm, window_attention::WindowAttention};
use crate::{Head, Scorer, checks, formulas::two_stage, select};

method! {
    /// Fills a head's share in two stages. The first stage keeps the best tokens of another scorer. The
    /// second stage multiplies these scores by a norm that says how much the token's value can change the
    /// output. Allocators compare heads by the scores of the first stage.
    #[serde(rename_all = "kebab-case")]
    pub struct Critical {
        /// The scorer of the first stage, with its own options.
        pub base: BaseScorer = BaseScorer::with_defaults::<WindowAttention>(),
        /// Which norm of the value's output is used.
        pub norm: OutputNorm = OutputNorm::SubNorm,
        /// The number added to the scores of the first stage before they are multiplied.
        pub epsilon: f64 = 1e-4 => checks::fraction,
        /// The fraction of the share that the first stage fills, 0..=1.
        pub first_stage: f64 = 0.5 => checks::fraction,
    }
    needs(self) self.base.scorer.needs().with([self.norm.need()]);
    "critical" from "Feng et al. 2025 (CriticalKV), arXiv:2502.03805",
    "Fills half of the share by another scorer, half by its scores times the value's output norm.",
    formula: "`base` for the first `first-stage` of the share; then (`base` + `epsilon`) x the mean over the \
         group of `||W_o v_j||_1`.",
    differences: "`norm='sub-norm'` multiplies the value by the gain of BitNet's norm before `W_o`; \
         `'plain'` is the paper's norm. The scorer also reads what `base` reads. The option `pool` applies \
         to `base`; `tova` and \
         `kvzip` do not have it."
}

impl Scorer for Critical {
    fn protects(&self) -> usize {
        self.base.scorer.protects()
    }

    fn incomparable(&self) -> Option<&'static str> {
        self.base.scorer.incomparable()
    }

    fn unpooled(&self) -> Option<String> {
        (!self.base.pools).then(|| format!("its base scorer `{}` has no option `pool`", self.base.spec()))
    }

    fn score(&self, head: &Head<'_>, out: &mut [f32]) {
        self.base.scorer.score(head, out);
    }

    fn rerank(&self, head: &Head<'_>, count: usize, scores: &mut [f32]) {
        let first = (count as f64 * self.first_stage).floor() as usize;
        let chosen = select::best(scores, first);
        let both = two_stage(scores, &self.norm.mean_norms(head), &chosen, self.epsilon as f32);
        // Protected tokens keep their score: infinity times a norm of 0 is NaN.
        let free = scores.iter_mut().zip(both).filter(|(s, _)| s.is_finite());
        free.for_each(|(s, both)| *s = both);
    }
}
