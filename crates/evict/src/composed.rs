//! Plans with an allocator and a scorer: from scores to the positions that each head keeps.

use std::{any::TypeId, borrow::Cow, sync::Arc};

use crate::{
    Allocator, Budget, Division, Error, Guard, Head, Observation, Plan, Scorer, Shape,
    options::CommonOptions, select,
};

/// Identifies the scores of a policy: the type of its scorer, and the scorer's specification with every
/// option.
pub(crate) type ScoreKey = (TypeId, String);

/// An allocator joined to a scorer, with the options that every scorer has.
#[derive(Clone, Debug)]
pub(crate) struct Composed {
    /// The policy's specification, for messages.
    pub(crate) spec: String,
    pub(crate) allocator: Arc<dyn Allocator>,
    pub(crate) scorer: Arc<dyn Scorer>,
    pub(crate) key: ScoreKey,
    pub(crate) common: CommonOptions,
}

impl Composed {
    /// Returns the scores of the tokens that every KV head holds, `[layers * kv_heads][held]`. They are
    /// infinite for tokens that the scorer protects or the guard keeps.
    pub(crate) fn scores(&self, observation: &Observation<'_>) -> Result<Vec<Vec<f32>>, Error> {
        let shape = observation.shape;
        let score = |index| {
            let held = observation.held(index);
            let mut scores = vec![0.0; held];
            self.scorer.score(&self.head(observation, index), &mut scores);
            if let Some(at) = scores.iter().position(|s| !s.is_finite()) {
                let (layer, head, value) = (index / shape.kv_heads, index % shape.kv_heads, scores[at]);
                let position = observation.held_positions(index)[at] as usize;
                return Err(Error::Score { policy: self.spec.clone(), layer, head, position, value });
            }
            let last = self.scorer.protects().max(self.common.guard.recent);
            scores[held.saturating_sub(last)..].fill(f32::INFINITY);
            scores[..self.common.guard.sinks.min(held)].fill(f32::INFINITY);
            Ok(scores)
        };
        (0..shape.all_kv_heads()).map(score).collect()
    }

    /// Fails if an option of the allocator does not fit a cache of this shape.
    pub(crate) fn check(&self, shape: Shape) -> Result<(), Error> {
        let policy = || self.spec.clone();
        self.allocator.check(shape).map_err(|reason| Error::Impossible { policy: policy(), reason })
    }

    /// Returns the plan for a budget, from the scores that [`Composed::scores`] returned.
    pub(crate) fn plan(
        &self,
        observation: &Observation<'_>,
        scores: &[Vec<f32>],
        budget: Budget,
    ) -> Result<Plan, Error> {
        self.check(observation.shape)?;
        let total = total(observation, scores, budget);
        let Some(heads) = self.ranked(observation, scores, total)? else {
            return Ok(Plan::from_kv_heads(observation.shape, total, all_positions(observation)));
        };
        let kept = heads.iter().enumerate().map(|(index, head)| head.kept(observation, index)).collect();
        Ok(Plan::from_kv_heads(observation.shape, total, kept))
    }

    /// Returns for each KV head whether it ends in a tie in the plan for a budget, `[layers * kv_heads]`: the
    /// worst entry that it keeps by its score and the best entry that it evicts have the same score.
    pub(crate) fn ties(
        &self,
        observation: &Observation<'_>,
        scores: &[Vec<f32>],
        budget: Budget,
    ) -> Result<Vec<bool>, Error> {
        let heads = self.ranked(observation, scores, total(observation, scores, budget))?;
        let ties = |heads: Vec<RankedHead>| heads.iter().map(RankedHead::ends_in_a_tie).collect();
        Ok(heads.map_or_else(|| vec![false; scores.len()], ties))
    }

    /// Divides a budget of `total` entries among the KV heads and ranks the entries of each. Returns `None`
    /// if everything is kept.
    fn ranked(
        &self,
        observation: &Observation<'_>,
        scores: &[Vec<f32>],
        total: usize,
    ) -> Result<Option<Vec<RankedHead>>, Error> {
        let held: Vec<usize> = scores.iter().map(Vec::len).collect();
        if total == held.iter().sum() {
            return Ok(None);
        }
        let scores = self.promoted(observation, scores, total / held.len());
        let weights = self.allocator.weigh(&Division { observation, scores: &scores, total });
        let counts = bitkv_stats::apportion_within(total, &weights, 1, &held).ok_or_else(|| {
            let (heads, tokens) = (held.len(), observation.shape.tokens);
            Error::Division { policy: self.spec.clone(), total, heads, tokens }
        })?;
        let heads = counts.into_iter().enumerate();
        let heads = heads.map(|(index, count)| self.rank(observation, index, count, scores[index].clone()));
        Ok(Some(heads.collect()))
    }

    /// Ranks the entries of a KV head with a share of `count` tokens.
    fn rank(
        &self,
        observation: &Observation<'_>,
        index: usize,
        count: usize,
        mut scores: Vec<f32>,
    ) -> RankedHead {
        self.scorer.rerank(&self.head(observation, index), count, &mut scores);
        let guard = self.allocator.fit(self.common.guard, count);
        // Sinks that no longer fit the share must not win by their infinite score.
        scores.iter_mut().take(self.common.guard.sinks).skip(guard.sinks).for_each(|s| *s = f32::MIN);
        RankedHead { scores, count, guard }
    }

    /// Returns the scores with infinity for the rows that the scorer promotes in a head of `average` tokens.
    fn promoted<'s>(
        &self,
        observation: &Observation<'_>,
        scores: &'s [Vec<f32>],
        average: usize,
    ) -> Cow<'s, [Vec<f32>]> {
        let mut promoted = Cow::Borrowed(scores);
        for index in 0..scores.len() {
            let rows = self.scorer.promotes(&self.head(observation, index), average);
            if !rows.is_empty() {
                let scores = &mut promoted.to_mut()[index];
                rows.into_iter().for_each(|row| scores[row as usize] = f32::INFINITY);
            }
        }
        promoted
    }

    fn head<'a>(&self, observation: &'a Observation<'a>, index: usize) -> Head<'a> {
        Head::new(observation, index, self.common.pool)
    }
}

/// The final scores of a KV head and its share of the budget.
struct RankedHead {
    /// The scores of the tokens that the head holds, `[held]`.
    scores: Vec<f32>,
    /// The number of tokens that the head keeps.
    count: usize,
    /// The part of the guard that the head keeps.
    guard: Guard,
}

impl RankedHead {
    /// Returns the positions that the KV head keeps, ascending. `index` counts the KV heads of all layers.
    fn kept(&self, observation: &Observation<'_>, index: usize) -> Vec<u32> {
        let kept = select::best_with_guard(&self.scores, self.count, self.guard);
        match observation.positions.get(index) {
            Some(positions) => kept.iter().map(|&row| positions[row as usize]).collect(),
            None => kept,
        }
    }

    /// Returns whether the worst kept and the best evicted entry have the same score. Entries that are kept
    /// regardless of their scores do not count.
    fn ends_in_a_tie(&self) -> bool {
        select::has_tie(&self.scores, self.count, self.guard)
    }
}

/// Returns the number of entries that a budget keeps, at most those that are held.
fn total(observation: &Observation<'_>, scores: &[Vec<f32>], budget: Budget) -> usize {
    budget.total(observation.shape).min(scores.iter().map(Vec::len).sum())
}

fn all_positions(observation: &Observation<'_>) -> Vec<Vec<u32>> {
    (0..observation.shape.all_kv_heads()).map(|head| observation.held_positions(head).into_owned()).collect()
}
