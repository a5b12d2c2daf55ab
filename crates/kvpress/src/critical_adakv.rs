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
        /// The fraction of an equal share that every head keeps in any case.
        alpha_safeguard: f64 = 0.2 => checks::fraction,
        /// The number that is added to the scores before they are multiplied.
        epsilon: f64 = 1e-4 => checks::not_negative,
        /// The fraction of a head's tokens that is chosen by the scores alone.
        first_stage_ratio: f64 = 0.5 => checks::fraction,
        #[serde(flatten)]
        press: S = S::default() => Options::check,
    }
    needs(self) self.press.needs().with([Need::OutputNorms]);
    <SnapKv> "kvpress:critical_adakv_snapkv" from
        "kvpress CriticalAdaKVPress(SnapKVPress); Feng et al. 2025, arXiv:2502.03805",
        "Lets heads compete like AdaKV with SnapKV's scores, and chooses tokens like CriticalKV.";
    <Future> "kvpress:critical_adakv_expected_attention" from
        "kvpress CriticalAdaKVPress(ExpectedAttentionPress(use_vnorm=False)); \
         Feng et al. 2025, arXiv:2502.03805",
        "Lets heads compete like AdaKV with expected attention, and chooses tokens like CriticalKV."
}

impl<S: ScorerPress> Press for CriticalAdaKv<S> {
    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, Reason> {
        let scores = finite_scores(&self.press, layer)?;
        let scores = safeguarded(scores, safe_count(self.alpha_safeguard, layer), ties);
        let division = Contest::in_layer(scores.clone(), layer.kept * layer.kv_heads);
        let counts: Vec<usize> = division.winners().into_iter().map(|winners| winners.len()).collect();
        let most = counts.iter().copied().max().unwrap_or_default();
        let heads: Vec<HeadScores> =
            scores.into_iter().enumerate().map(|(i, s)| HeadScores::new(layer, i, s)).collect();
        if let Some(tolerance) = ties.tolerance() {
            for (head, (fewest, most)) in heads.iter().zip(division.wins_within(tolerance)) {
                self.note_if_count_changes_it(head, fewest..=most, ties);
            }
        }
        Ok(heads.iter().zip(counts).map(|(head, count)| self.two_stages(head, count, most, ties)).collect())
    }
}

/// The scores and output norms of one KV head, `[tokens]` each, that the two stages read.
struct HeadScores {
    index: usize,
    scores: Vec<f32>,
    norms: Vec<f32>,
}

impl HeadScores {
    fn new(layer: &Layer<'_>, index: usize, scores: Vec<f32>) -> HeadScores {
        HeadScores { index, scores, norms: layer.group_mean(Need::OutputNorms, index) }
    }
}

impl<S> CriticalAdaKv<S> {
    /// Returns the `count` positions that a head keeps, ascending. `most` is the largest count of a head of
    /// the layer: kvpress selects that many tokens of every head.
    fn two_stages(&self, head: &HeadScores, count: usize, most: usize, ties: &mut Ties) -> Vec<u32> {
        // The product is computed in `f32`, because torch multiplies integers by a fraction in `f32`.
        let first = |count| (count as f32 * self.first_stage_ratio as f32) as usize;
        let mut decide = |scores, places, selected| {
            ties.decide_in_head(&Contest::in_head(head.index, scores, places).selecting(selected))
        };
        let chosen = decide(head.scores.clone(), first(count), first(most));
        let both = formulas::two_stage(&head.scores, &head.norms, &chosen, self.epsilon as f32);
        decide(both, count, most)
    }

    /// Notes the positions that the head keeps for some of `counts` but not for all. `counts` are the numbers
    /// of tokens that a close contest between heads may give to this head.
    fn note_if_count_changes_it(&self, head: &HeadScores, counts: RangeInclusive<usize>, ties: &mut Ties) {
        let mut times_kept = vec![0; head.scores.len()];
        let all = counts.clone().count();
        for count in counts {
            let kept = self.two_stages(head, count, count, &mut Ties::ignored());
            kept.into_iter().for_each(|position| times_kept[position as usize] += 1);
        }
        let changes = (0u32..).zip(times_kept).filter(|&(_, times)| times > 0 && times < all);
        changes.for_each(|(position, _)| ties.note(head.index, position));
    }
}
