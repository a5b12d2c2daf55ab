use serde::{Deserialize, Serialize};

use super::{
    ExpectedAttention, Layer, SnapKv, Ties, checks,
    contest::Contest,
    knorm::Knorm,
    press::{Press, ScorerPress, finite_scores, keep_best},
};
use crate::{Needs, Shape, options::Options, registry::Method};

/// kvpress' `AdaKVPress`: the heads of a layer compete for its budget by score, behind a
/// safeguard that each has for itself.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct AdaKv<S> {
    /// The part of an equal share that every head keeps in any case.
    alpha_safeguard: f64,
    #[serde(flatten)]
    press: S,
}

impl<S: Default> Default for AdaKv<S> {
    fn default() -> AdaKv<S> {
        AdaKv { alpha_safeguard: 0.2, press: S::default() }
    }
}

impl<S: Options> Options for AdaKv<S> {
    fn check(&self) -> Result<(), String> {
        checks::a_part(self.alpha_safeguard)?;
        self.press.check()
    }
}

impl Method for AdaKv<SnapKv> {
    const NAME: &'static str = "kvpress:adakv_snapkv";
    const SOURCE: &'static str = "kvpress AdaKVPress(SnapKVPress); Feng et al. 2024, arXiv:2407.11550";
    const DESCRIPTION: &'static str = "SnapKV, heads of a layer competing";
}

impl Method for AdaKv<Knorm> {
    const NAME: &'static str = "kvpress:adakv_knorm";
    const SOURCE: &'static str = "kvpress AdaKVPress(KnormPress); Feng et al. 2024, arXiv:2407.11550";
    const DESCRIPTION: &'static str = "the shortest keys, heads of a layer competing";
}

impl Method for AdaKv<ExpectedAttention> {
    const NAME: &'static str = "kvpress:adakv_expected_attention";
    const SOURCE: &'static str =
        "kvpress AdaKVPress(ExpectedAttentionPress); Feng et al. 2024, arXiv:2407.11550";
    const DESCRIPTION: &'static str = "expected attention, heads of a layer competing";
}

impl<S: ScorerPress> Press for AdaKv<S> {
    fn needs(&self) -> Needs {
        ScorerPress::needs(&self.press)
    }

    fn refuse(&self, shape: Shape) -> Result<(), String> {
        ScorerPress::refuse(&self.press, shape)
    }

    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, String> {
        let scores = finite_scores(&self.press, layer)?;
        let scores = safeguarded(scores, safe_count(self.alpha_safeguard, layer), ties);
        Ok(ties.decide(&Contest::in_layer(scores, layer.kept * layer.kv_heads)))
    }
}

/// Tokens that a head keeps whatever the others score.
pub(super) fn safe_count(alpha: f64, layer: &Layer<'_>) -> usize {
    let count = (layer.kept as f64 * alpha) as usize;
    if alpha > 0.0 { count.max(1) } else { count }
}

/// The scores, with the `count` best of each head above all others.
pub(super) fn safeguarded(mut scores: Vec<Vec<f32>>, count: usize, ties: &mut Ties) -> Vec<Vec<f32>> {
    let safe = keep_best(scores.clone(), count, ties);
    for (scores, safe) in scores.iter_mut().zip(safe) {
        safe.into_iter().for_each(|position| scores[position as usize] = f32::MAX);
    }
    scores
}

/// The same with the `epsilon` of kvpress' evaluation, which calls it `expected_attention` since
/// version 0.4.1, and had called it `adakv_expected_attention_e2`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default, transparent)]
pub(crate) struct AdaExpectedAttentionE2(AdaKv<ExpectedAttention>);

impl Default for AdaExpectedAttentionE2 {
    fn default() -> AdaExpectedAttentionE2 {
        AdaExpectedAttentionE2(AdaKv { alpha_safeguard: 0.2, press: ExpectedAttention::with_epsilon(1e-2) })
    }
}

impl Options for AdaExpectedAttentionE2 {
    fn check(&self) -> Result<(), String> {
        self.0.check()
    }
}

impl Method for AdaExpectedAttentionE2 {
    const NAME: &'static str = "kvpress:adakv_expected_attention_e2";
    const SOURCE: &'static str =
        "kvpress AdaKVPress(ExpectedAttentionPress(epsilon=1e-2)); Devoto et al. 2025, arXiv:2510.00636";
    const DESCRIPTION: &'static str =
        "expected attention, heads of a layer competing, as kvpress' evaluation has it";
}

impl Press for AdaExpectedAttentionE2 {
    fn needs(&self) -> Needs {
        self.0.needs()
    }

    fn refuse(&self, shape: Shape) -> Result<(), String> {
        self.0.refuse(shape)
    }

    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, String> {
        self.0.compress(layer, ties)
    }
}
