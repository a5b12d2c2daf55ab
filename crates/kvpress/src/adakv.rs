//! `AdaKVPress` of kvpress.

use bitkv_evict::{Options, Reason, method};

use crate::{
    checks,
    contest::Contest,
    expected_attention::ExpectedAttention,
    knorm::Knorm,
    layer::Layer,
    press::{Press, ScorerPress, finite_scores, keep_best},
    snapkv::SnapKv,
    ties::Ties,
};

method! {
    /// `AdaKVPress` of kvpress: every head first keeps a safeguard of its own best tokens; then the heads of
    /// a layer compete by score for the rest of the layer's budget.
    pub(crate) struct AdaKv<S> {
        /// The fraction of an equal share that every head keeps in any case.
        alpha_safeguard: f64 = 0.2 => checks::fraction,
        #[serde(flatten)]
        press: S = S::default() => Options::check,
    }
    needs(self) self.press.needs();
    <SnapKv> "kvpress:adakv_snapkv" from
        "kvpress AdaKVPress(SnapKVPress); Feng et al. 2024, arXiv:2407.11550",
        "Scores like SnapKV; the heads of a layer compete.";
    <Knorm> "kvpress:adakv_knorm" from "kvpress AdaKVPress(KnormPress); Feng et al. 2024, arXiv:2407.11550",
        "Prefers the shortest keys; the heads of a layer compete.";
    <ExpectedAttention> "kvpress:adakv_expected_attention" from
        "kvpress AdaKVPress(ExpectedAttentionPress); Feng et al. 2024, arXiv:2407.11550",
        "Scores by expected attention; the heads of a layer compete."
}

impl<S: ScorerPress> Press for AdaKv<S> {
    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, Reason> {
        let scores = finite_scores(&self.press, layer)?;
        let scores = safeguarded(scores, safe_count(self.alpha_safeguard, layer), ties);
        Ok(ties.decide(&Contest::removing_in_layer(scores, layer.kept * layer.kv_heads)))
    }
}

/// Returns the number of tokens that a head keeps regardless of the scores of other heads.
pub(crate) fn safe_count(alpha: f64, layer: &Layer<'_>) -> usize {
    let count = (layer.kept as f64 * alpha) as usize;
    if alpha > 0.0 { count.max(1) } else { count }
}

/// Returns the scores, `[kv_heads][tokens]`, with the `count` best of each head raised above all others.
pub(crate) fn safeguarded(mut scores: Vec<Vec<f32>>, count: usize, ties: &mut Ties) -> Vec<Vec<f32>> {
    let safe = keep_best(scores.clone(), count, ties);
    for (scores, safe) in scores.iter_mut().zip(safe) {
        safe.into_iter().for_each(|position| scores[position as usize] = f32::MAX);
    }
    scores
}

method! {
    /// [`AdaKv`] of [`ExpectedAttention`] with the `epsilon` of kvpress' evaluation. The evaluation calls it
    /// `expected_attention` since version 0.4.1; it was called `adakv_expected_attention_e2` before.
    #[serde(transparent)]
    pub(crate) struct AdaExpectedAttentionE2 {
        press: AdaKv<ExpectedAttention> =
            AdaKv { press: ExpectedAttention::with_epsilon(1e-2), ..AdaKv::default() } => Options::check,
    }
    needs(self) self.press.needs();
    "kvpress:adakv_expected_attention_e2" from
        "kvpress AdaKVPress(ExpectedAttentionPress(epsilon=1e-2)); Devoto et al. 2025, arXiv:2510.00636",
    "Scores by expected attention; heads compete, with the options of kvpress' evaluation."
}

impl Press for AdaExpectedAttentionE2 {
    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, Reason> {
        self.press.compress(layer, ties)
    }
}
