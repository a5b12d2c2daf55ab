use serde::{Deserialize, Serialize};

use super::{
    Future, Layer, SnapKv, Ties, checks,
    press::{Press, ScorerPress, finite_scores, keep_best},
};
use crate::{Need, Needs, Shape, formulas, options::Options, registry::Method};

/// kvpress' `CriticalKVPress`: half of the budget by the scores of another press, the rest by
/// these scores times how much the token's value can move the layer's output.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct CriticalKv<S> {
    /// Added to the scores before they are multiplied.
    epsilon: f64,
    /// The part of the budget that goes by the scores alone.
    first_stage_ratio: f64,
    #[serde(flatten)]
    press: S,
}

impl<S: Default> Default for CriticalKv<S> {
    fn default() -> CriticalKv<S> {
        CriticalKv { epsilon: 1e-4, first_stage_ratio: 0.5, press: S::default() }
    }
}

impl<S: Options> Options for CriticalKv<S> {
    fn check(&self) -> Result<(), String> {
        checks::not_negative(self.epsilon)?;
        checks::a_part(self.first_stage_ratio)?;
        self.press.check()
    }
}

impl Method for CriticalKv<SnapKv> {
    const NAME: &'static str = "kvpress:critical_snapkv";
    const SOURCE: &'static str = "kvpress CriticalKVPress(SnapKVPress); Feng et al. 2025, arXiv:2502.03805";
    const DESCRIPTION: &'static str = "SnapKV, half of it weighted with the norm of the projected value";
}

impl Method for CriticalKv<Future> {
    const NAME: &'static str = "kvpress:critical_expected_attention";
    const SOURCE: &'static str = "kvpress CriticalKVPress(ExpectedAttentionPress(use_vnorm=False)); Feng et al. 2025, arXiv:2502.03805";
    const DESCRIPTION: &'static str =
        "expected attention, half of it weighted with the norm of the projected value";
}

impl<S: ScorerPress> Press for CriticalKv<S> {
    fn needs(&self) -> Needs {
        ScorerPress::needs(&self.press).union([Need::OutputNorms].into())
    }

    fn refuse(&self, shape: Shape) -> Result<(), String> {
        ScorerPress::refuse(&self.press, shape)
    }

    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, String> {
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
    /// Tokens that each head keeps by the scores alone.
    fn first_stage(&self, layer: &Layer<'_>) -> usize {
        if self.first_stage_ratio == 0.0 {
            return 0;
        }
        ((layer.part * layer.tokens as f64 * self.first_stage_ratio) as usize).max(1)
    }
}
