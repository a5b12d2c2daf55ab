//! An [`Evictor`] applies one policy to one cache, once or repeatedly (chunked prefill, eviction while
//! decoding).

use bitkv_bitnet::{Cache, KvCache, Output, ProbeOutput, Probes};
use bitkv_evict::{Budget, Need, Needs, Plan, Policy};
use bitkv_models::LoadedModel;
use bitkv_record::{KvFormat, Positions};

use super::storage;
use crate::observation::{Calibration, OwnedObservation, observe};

use crate::Result;

/// Cuts one cache by one policy, as often as asked.
pub(super) struct Evictor<'a> {
    loaded: &'a LoadedModel,
    policy: &'a Policy,
    numbers: &'a Calibration,
    positions: Positions,
    needs: Needs,
    /// The attention that each held token has received so far, `[layers * query_heads][held]`. H2O sums it
    /// over all passes. Empty unless the policy needs it.
    accumulated: Vec<Vec<f32>>,
}

impl<'a> Evictor<'a> {
    /// Returns an evictor for an empty cache.
    pub(super) fn new(
        loaded: &'a LoadedModel,
        policy: &'a Policy,
        numbers: &'a Calibration,
        positions: Positions,
    ) -> Evictor<'a> {
        Evictor { loaded, policy, numbers, positions, needs: policy.needs(), accumulated: Vec::new() }
    }

    /// Returns the evictor for a cache that was already read. `observation` was gathered in that pass.
    #[must_use]
    pub(super) fn with_past(mut self, observation: &OwnedObservation) -> Evictor<'a> {
        if self.needs.contains(Need::Accumulated) {
            self.accumulated = observation.rows(Need::Accumulated).to_vec();
        }
        self
    }

    /// Reads tokens into the cache and gathers the observation that the policy needs for the next eviction.
    ///
    /// # Errors
    /// Returns an error if the model refuses the tokens.
    pub(super) fn read(&mut self, tokens: &[u32], cache: &mut Cache) -> Result<(Output, OwnedObservation)> {
        let look = Probes { positions: true, ..observe(&self.needs) };
        let mut output = self.loaded.model.forward(tokens, cache, Some(&look))?;
        let mut observed = output.observed.take().unwrap_or_default();
        self.accumulate(&mut observed);
        let observation =
            OwnedObservation::gather(self.loaded, cache.tokens_seen(), observed, &self.needs, self.numbers);
        Ok((output, observation))
    }

    /// Attention of this pass and all before it.
    fn accumulate(&mut self, observed: &mut ProbeOutput) {
        if !self.needs.contains(Need::Accumulated) {
            return;
        }
        for (row, past) in observed.accumulated.iter_mut().zip(&self.accumulated) {
            row.iter_mut().zip(past).for_each(|(now, past)| *now += past);
        }
        self.accumulated.clone_from(&observed.accumulated);
    }

    /// Plans from the observation of the last read and evicts everything that the plan does not keep. Returns
    /// the plan.
    ///
    /// # Errors
    /// When the policy cannot plan such a cache.
    pub(super) fn cut(
        &mut self,
        observation: &OwnedObservation,
        budget: Budget,
        cache: &mut Cache,
    ) -> Result<Plan> {
        let plan = self.policy.plan(&observation.view(), budget)?;
        self.keep(&plan, cache)?;
        Ok(plan)
    }

    /// Evicts everything from the cache that the plan does not keep.
    ///
    /// # Errors
    /// Returns an error if the plan does not fit this cache.
    pub(super) fn keep(&mut self, plan: &Plan, cache: &mut Cache) -> Result<()> {
        self.forget(plan, cache);
        cache.keep(&of_plan(plan, cache.tokens_seen()))?;
        self.turn(cache)
    }

    /// Returns a copy of `whole` that holds only what the plan keeps. `whole` does not change.
    ///
    /// # Errors
    /// When the plan is not of this cache.
    pub(super) fn kept(&mut self, plan: &Plan, whole: &Cache) -> Result<Cache> {
        self.forget(plan, whole);
        let mut cache = whole.kept(&of_plan(plan, whole.tokens_seen()))?;
        self.turn(&mut cache)?;
        Ok(cache)
    }

    /// Drops the attention of what a plan drops.
    fn forget(&mut self, plan: &Plan, cache: &Cache) {
        let shape = plan.shape();
        for (query, row) in self.accumulated.iter_mut().enumerate() {
            let kv = query / shape.group();
            let (layer, head) = (kv / shape.kv_heads, kv % shape.kv_heads);
            let held = cache.view(layer, head).positions;
            let mut kept = plan.kept(layer, head).iter().peekable();
            let stays = held.iter().map(|position| kept.next_if(|kept| *kept == position).is_some());
            let stays: Vec<bool> = stays.collect();
            let mut stays = stays.iter();
            row.retain(|_| stays.next().copied().unwrap_or(false));
        }
    }

    fn turn(&self, cache: &mut Cache) -> Result<()> {
        if self.positions == Positions::Rerotated {
            self.loaded.model.rerotate(cache)?;
        }
        Ok(())
    }
}

/// What a plan keeps of the tokens that a cache has seen.
fn of_plan(plan: &Plan, seen: usize) -> impl Fn(usize, usize) -> Vec<u32> {
    move |layer, head| {
        plan.kept(layer, head).iter().copied().filter(|&position| (position as usize) < seen).collect()
    }
}

/// Quantises a cache to a format.
///
/// # Errors
/// Returns an error if the cache refuses the quantisation, which the formats of definitions never cause.
pub(super) fn store(cache: &mut Cache, kv: KvFormat) -> Result<()> {
    match storage::quantisation(kv) {
        Some(quantisation) => Ok(cache.quantise(quantisation)?),
        None => Ok(()),
    }
}
