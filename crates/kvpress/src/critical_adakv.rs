//! `CriticalAdaKVPress` of kvpress.

use std::ops::RangeInclusive;

use bitkv_evict::{Need, Options, Reason, formulas, method};

use crate::{
    adakv::{safe_count, safeguarded},
    checks,
    contest::Contest,
    expected_attention::Future,
    layer::Layer,
    press::{Press, ScorerPress, finite_scores},
    snapkv::SnapKv,
    ties::Ties,
};

method! {
    /// `CriticalAdaKVPress` of kvpress: AdaKV's competition decides how many tokens each head keeps, and
    /// CriticalKV's two stages choose them.
    pub(crate) struct CriticalAdaKv<S> {
        /// The part of an equal share that every head keeps in any case.
        alpha_safeguard: f64 = 0.2 => checks::part,
        /// Added to the scores before they are multiplied.
        epsilon: f64 = 1e-4 => checks::not_negative,
        /// The part of a head's number that goes by the scores alone.
        first_stage_ratio: f64 = 0.5 => checks::part,
        #[serde(flatten)]
        press: S = S::default() => Options::check,
    }
    needs(self) self.press.needs().with([Need::OutputNorms]);
    <SnapKv> "kvpress:critical_adakv_snapkv" from
        "kvpress CriticalAdaKVPress(SnapKVPress); Feng et al. 2025, arXiv:2502.03805",
        "SnapKV, heads of a layer competing, half weighted with the norm of the projected value";
    <Future> "kvpress:critical_adakv_expected_attention" from
        "kvpress CriticalAdaKVPress(ExpectedAttentionPress(use_vnorm=False)); \
         Feng et al. 2025, arXiv:2502.03805",
        "expected attention, heads of a layer competing, half weighted with the norm of the projected value"
}

impl<S: ScorerPress> Press for CriticalAdaKv<S> {
    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, Reason> {
        let scores = finite_scores(&self.press, layer)?;
        let scores = safeguarded(scores, safe_count(self.alpha_safeguard, layer), ties);
        let division = Contest::in_layer(scores.clone(), layer.kept * layer.kv_heads);
        let counts = division.winners().into_iter().map(|winners| winners.len());
        let heads: Vec<Head> = scores.into_iter().enumerate().map(|(i, s)| Head::new(layer, i, s)).collect();
        if let Some(tolerance) = ties.tolerance() {
            for (head, (fewest, most)) in heads.iter().zip(division.wins_within(tolerance)) {
                self.note_if_count_changes_it(head, fewest..=most, ties);
            }
        }
        Ok(heads.iter().zip(counts).map(|(head, count)| self.two_stages(head, count, ties)).collect())
    }
}

/// What the two stages read of one head.
struct Head {
    index: usize,
    scores: Vec<f32>,
    norms: Vec<f32>,
}

impl Head {
    fn new(layer: &Layer<'_>, index: usize, scores: Vec<f32>) -> Head {
        Head { index, scores, norms: layer.group_mean(Need::OutputNorms, index) }
    }
}

impl<S> CriticalAdaKv<S> {
    /// The `count` tokens that a head keeps.
    fn two_stages(&self, head: &Head, count: usize, ties: &mut Ties) -> Vec<u32> {
        // As torch multiplies whole numbers by a fraction: in `f32`.
        let first = (count as f32 * self.first_stage_ratio as f32) as usize;
        let first = ties.decide_in_head(&Contest::in_head(head.index, head.scores.clone(), first));
        let both = formulas::two_stage(&head.scores, &head.norms, &first, self.epsilon as f32);
        ties.decide_in_head(&Contest::in_head(head.index, both, count))
    }

    /// Notes the positions that depend on how many tokens the head was given in a close division.
    fn note_if_count_changes_it(&self, head: &Head, counts: RangeInclusive<usize>, ties: &mut Ties) {
        let mut times = vec![0; head.scores.len()];
        let all = counts.clone().count();
        for count in counts {
            let kept = self.two_stages(head, count, &mut Ties::ignored());
            kept.into_iter().for_each(|position| times[position as usize] += 1);
        }
        let changes = (0u32..).zip(times).filter(|&(_, times)| times > 0 && times < all);
        changes.for_each(|(position, _)| ties.note(head.index, position));
    }
}
