//! How a policy comes from scores to the tokens that each head keeps.

use std::borrow::Cow;

use super::{Method, Policy};
use crate::{Budget, Division, Error, Head, Observation, Plan, Pooling, Scorer, kvpress::Known, select};

impl Policy {
    pub(crate) fn plan_by_rule(
        &self,
        seen: &Observation<'_>,
        budget: Budget,
        known: &Known,
    ) -> Result<Plan, Error> {
        let Method::Rule(rule) = &self.method else { return self.plan(seen, budget) };
        if !seen.is_whole() {
            return Err(Error::Ragged { policy: self.spec.clone() });
        }
        let impossible = |reason| Error::Impossible { policy: self.spec.clone(), reason };
        rule.plan_knowing(seen, budget, known).map_err(impossible)
    }

    /// Chooses by the scores that [`Policy::scores`] gave.
    pub(crate) fn plan_scored(
        &self,
        seen: &Observation<'_>,
        scores: &[Vec<f32>],
        budget: Budget,
    ) -> Result<Plan, Error> {
        let Method::Composed { allocator, scorer, common, .. } = &self.method else {
            return self.plan_by_rule(seen, budget, &Known::default());
        };
        let held: Vec<usize> = scores.iter().map(Vec::len).collect();
        let total = budget.total(seen.shape).min(held.iter().sum());
        if total == held.iter().sum() {
            return Ok(Plan::of_kv_heads(seen.shape, total, all_positions(seen)));
        }
        let scores = promoted(&**scorer, seen, common.pool, scores, total / held.len());
        let weights = allocator.weigh(&Division { observation: seen, scores: &scores, total });
        let counts = bitkv_stats::apportion_within(total, &weights, 1, &held).ok_or_else(|| {
            let (heads, tokens) = (held.len(), seen.shape.tokens);
            Error::Division { policy: self.spec.clone(), total, heads, tokens }
        })?;
        let keep = |(index, count): (usize, usize)| {
            let mut scores = scores[index].clone();
            scorer.rerank(&Head::of(seen, index, common.pool), count, &mut scores);
            let guard = allocator.fit(common.guard, count);
            // Sinks that were scored as guarded and find no room.
            scores.iter_mut().take(common.guard.sinks).skip(guard.sinks).for_each(|s| *s = f32::MIN);
            let kept = select::guarded(&scores, count, guard);
            match seen.positions.get(index) {
                Some(positions) => kept.iter().map(|&row| positions[row as usize]).collect(),
                None => kept,
            }
        };
        let kept = counts.into_iter().enumerate().map(keep).collect();
        Ok(Plan::of_kv_heads(seen.shape, total, kept))
    }

    /// The scores of the tokens that every KV head holds, infinite where the scorer protects them or
    /// the guard keeps them.
    pub(crate) fn scores(&self, seen: &Observation<'_>) -> Result<Vec<Vec<f32>>, Error> {
        let Method::Composed { scorer, common, .. } = &self.method else { return Ok(Vec::new()) };
        let shape = seen.shape;
        let one = |index| {
            let held = seen.held(index);
            let mut scores = vec![0.0; held];
            scorer.score(&Head::of(seen, index, common.pool), &mut scores);
            if let Some(at) = scores.iter().position(|s| !s.is_finite()) {
                let (layer, head, value) = (index / shape.kv_heads, index % shape.kv_heads, scores[at]);
                let position = seen.held_positions(index)[at] as usize;
                return Err(Error::Score { policy: self.spec.clone(), layer, head, position, value });
            }
            let last = scorer.protects().max(common.guard.recent);
            scores[held.saturating_sub(last)..].fill(f32::INFINITY);
            scores[..common.guard.sinks.min(held)].fill(f32::INFINITY);
            Ok(scores)
        };
        (0..shape.all_kv_heads()).map(one).collect()
    }
}

/// The scores, infinite where the scorer promotes a row for a head of `average` tokens.
fn promoted<'s>(
    scorer: &dyn Scorer,
    seen: &Observation<'_>,
    pool: Pooling,
    scores: &'s [Vec<f32>],
    average: usize,
) -> Cow<'s, [Vec<f32>]> {
    let mut promoted = Cow::Borrowed(scores);
    for index in 0..scores.len() {
        let rows = scorer.promotes(&Head::of(seen, index, pool), average);
        if !rows.is_empty() {
            let scores = &mut promoted.to_mut()[index];
            rows.into_iter().for_each(|row| scores[row as usize] = f32::INFINITY);
        }
    }
    promoted
}

fn all_positions(seen: &Observation<'_>) -> Vec<Vec<u32>> {
    (0..seen.shape.all_kv_heads()).map(|head| seen.held_positions(head).into_owned()).collect()
}
