//! `CriticalKVPress` of kvpress.

use bitkv_evict::{Need, Options, Reason, formulas, method};

use crate::{
    checks,
    expected_attention::Future,
    layer::Layer,
    press::{Press, ScorerPress, finite_scores, keep_best},
    snapkv::SnapKv,
    ties::Ties,
};

method! {
    /// `CriticalKVPress` of kvpress: fills half of the budget by the scores of another press, and the rest by
    /// these scores times the norm of the projected value. The norm bounds how far the token can move the
    /// layer's output.
    pub(crate) struct CriticalKv<S> {
        /// The number that is added to the scores before they are multiplied.
        epsilon: f64 = 1e-4 => checks::not_negative,
        /// The fraction of the budget that is filled by the scores alone.
        first_stage_ratio: f64 = 0.5 => checks::fraction,
        #[serde(flatten)]
        press: S = S::default() => Options::check,
    }
    needs(self) self.press.needs().with([Need::OutputNorms]);
    <SnapKv> "kvpress:critical_snapkv" from
        "kvpress CriticalKVPress(SnapKVPress); Feng et al. 2025, arXiv:2502.03805",
        "Scores like SnapKV, and for half of the budget also by the norm of the projected value.";
    <Future> "kvpress:critical_expected_attention" from
        "kvpress CriticalKVPress(ExpectedAttentionPress(use_vnorm=False)); \
         Feng et al. 2025, arXiv:2502.03805",
        "Scores by expected attention, and for half of the budget also by the projected value's norm."
}

impl<S: ScorerPress> Press for CriticalKv<S> {
    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, Reason> {
        let scores = finite_scores(&self.press, layer)?;
        let chosen = keep_best(scores.clone(), self.first_stage(layer), ties);
        let weighted = scores.iter().zip(&chosen).enumerate().map(|(head, (scores, chosen))| {
            let norms = layer.group_mean(Need::OutputNorms, head);
            formulas::two_stage(scores, &norms, chosen, self.epsilon as f32)
        });
        Ok(keep_best(weighted.collect(), layer.kept, ties))
    }
}

impl<S> CriticalKv<S> {
    /// Returns the number of tokens that each head keeps by the scores alone.
    fn first_stage(&self, layer: &Layer<'_>) -> usize {
        if self.first_stage_ratio == 0.0 {
            return 0;
        }
        ((layer.part * layer.tokens as f64 * self.first_stage_ratio) as usize).max(1)
    }
}
