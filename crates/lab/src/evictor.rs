//! An [`Evictor`] applies one policy to one cache, once or repeatedly (chunked prefill, eviction while
//! decoding).

use bitkv_bitnet::{Cache, KvCache, Output, ProbeOutput};
use bitkv_evict::{Budget, Need, Needs, Plan, Policy};
use bitkv_models::LoadedModel;
use bitkv_record::Positions;

use crate::{
    Error, Result,
    observation::{Calibration, OwnedObservation, probes_for},
};

/// Evicts from one cache by one policy, once or any number of times.
pub(crate) struct Evictor<'a> {
    loaded: &'a LoadedModel,
    policy: &'a Policy,
    calibration: &'a Calibration,
    positions: Positions,
    needs: Needs,
    /// The attention that each held token has received so far, `[layers * query_heads][held]`. H2O sums it
    /// over all passes. Empty unless the policy needs it.
    accumulated: Vec<Vec<f32>>,
}

impl<'a> Evictor<'a> {
    /// Returns an evictor for an empty cache.
    pub(crate) fn new(
        loaded: &'a LoadedModel,
        policy: &'a Policy,
        calibration: &'a Calibration,
        positions: Positions,
    ) -> Evictor<'a> {
        Evictor { loaded, policy, calibration, positions, needs: policy.needs(), accumulated: Vec::new() }
    }

    /// Returns the evictor for a cache that was already read. `observation` was gathered in that pass.
    #[must_use]
    pub(crate) fn with_observation(mut self, observation: &OwnedObservation) -> Evictor<'a> {
        if self.needs.contains(Need::Accumulated) {
            self.accumulated = observation.rows(Need::Accumulated).to_vec();
        }
        self
    }

    /// Reads tokens into the cache and gathers the observation that the policy needs for the next eviction.
    ///
    /// # Errors
    /// Returns an error if the model refuses the tokens.
    pub(crate) fn read(
        &mut self,
        tokens: &[u32],
        cache: &mut dyn KvCache,
    ) -> Result<(Output, OwnedObservation)> {
        let mut output = self.loaded.model.forward(tokens, cache, Some(&probes_for(&self.needs)))?;
        let observation = self.observe(output.probed.take().unwrap_or_default(), cache.tokens_seen());
        Ok((output, observation))
    }

    /// Returns the observation of a pass after which the cache has seen `seen` tokens. `probed` is the output
    /// of the probes that the policy needs.
    pub(crate) fn observe(&mut self, mut probed: ProbeOutput, seen: usize) -> OwnedObservation {
        self.accumulate(&mut probed);
        OwnedObservation::gather(self.loaded, seen, probed, &self.needs, self.calibration)
    }

    /// Returns the observation of `tokens`, the newest tokens of the cache, which were run one by one. It is
    /// the observation of [`Evictor::read`]: if the policy observes queries, the tokens are read again in one
    /// pass.
    ///
    /// # Errors
    /// Returns an error if the model refuses the tokens.
    pub(crate) fn observe_newest(
        &mut self,
        tokens: &[u32],
        cache: &mut dyn KvCache,
    ) -> Result<OwnedObservation> {
        if self.needs.iter().any(observes_queries) {
            cache.forget_newest(tokens.len());
            return Ok(self.read(tokens, cache)?.1);
        }
        let probed = self.loaded.model.observe(cache, &probes_for(&self.needs));
        Ok(self.observe(probed, cache.tokens_seen()))
    }

    /// Adds the attention of earlier passes to that of this pass.
    fn accumulate(&mut self, probed: &mut ProbeOutput) {
        if !self.needs.contains(Need::Accumulated) {
            return;
        }
        for (row, past) in probed.accumulated.iter_mut().zip(&self.accumulated) {
            row.iter_mut().zip(past).for_each(|(now, past)| *now += past);
        }
        self.accumulated.clone_from(&probed.accumulated);
    }

    /// Plans from the observation of the last read and evicts everything that the plan does not keep. Returns
    /// the plan.
    ///
    /// # Errors
    /// Returns an error if the policy cannot plan such a cache.
    pub(crate) fn evict(
        &mut self,
        observation: &OwnedObservation,
        budget: Budget,
        cache: &mut dyn KvCache,
    ) -> Result<Plan> {
        let plan = self.policy.plan(&observation.view(), budget).map_err(|error| match error {
            // What the passes of this loop cannot observe is only known after a whole prefill.
            bitkv_evict::Error::Unobserved { policy, missing } => Error::Unfit(format!(
                "`{policy}` needs {missing}, which is observed only if a cell evicts once: leave the policy out, or \
                 write when = [\"once\"]"
            )),
            error => error.into(),
        })?;
        self.keep(&plan, cache)?;
        Ok(plan)
    }

    /// Evicts everything from the cache that the plan does not keep.
    ///
    /// # Errors
    /// Returns an error if the plan does not fit this cache.
    pub(crate) fn keep(&mut self, plan: &Plan, cache: &mut dyn KvCache) -> Result<()> {
        self.drop_accumulated(plan, cache);
        cache.keep(&kept_positions(plan, cache.tokens_seen()))?;
        self.rerotate_if_asked(cache)
    }

    /// Returns a copy of `whole` that holds only what the plan keeps. `whole` does not change.
    ///
    /// # Errors
    /// Returns an error if the plan does not fit this cache.
    pub(crate) fn kept_copy(&mut self, plan: &Plan, whole: &Cache) -> Result<Cache> {
        self.drop_accumulated(plan, whole);
        let mut cache = whole.kept_copy(&kept_positions(plan, whole.tokens_seen()))?;
        self.rerotate_if_asked(&mut cache)?;
        Ok(cache)
    }

    /// Drops the accumulated attention of the tokens that the plan does not keep.
    fn drop_accumulated(&mut self, plan: &Plan, cache: &dyn KvCache) {
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

    /// Rotates the keys to consecutive positions if the cell asks for that.
    fn rerotate_if_asked(&self, cache: &mut dyn KvCache) -> Result<()> {
        if self.positions == Positions::Rerotated {
            self.loaded.model.rerotate(cache)?;
        }
        Ok(())
    }
}

/// Returns whether a need is observed while queries run, and so is not found in the cache afterwards.
fn observes_queries(need: Need) -> bool {
    !matches!(
        need,
        Need::Keys
            | Need::Values
            | Need::OutputNorms
            | Need::SubNormOutputNorms
            | Need::Entropy
            | Need::HeadScores
            | Need::HeadPattern
    )
}

/// Returns the positions that a plan keeps, by layer and KV head, among the first `seen` tokens.
fn kept_positions(plan: &Plan, seen: usize) -> impl Fn(usize, usize) -> Vec<u32> {
    move |layer, head| {
        plan.kept(layer, head).iter().copied().filter(|&position| (position as usize) < seen).collect()
    }
}

/// Returns the need of a policy that only the prefill of a whole context shows, or what comes after it;
/// `None` if it has no such need.
pub(crate) fn whole_context_need(policy: &Policy) -> Option<Need> {
    [Need::Future, Need::Reconstruction].into_iter().find(|need| policy.needs().contains(*need))
}

/// Returns an error if a policy cannot evict more than once from the same cache, because it reads what only
/// the prefill of a whole context shows, or what comes after it.
///
/// # Errors
/// The error names the policy.
pub fn check_repeatable(policy: &Policy) -> Result<()> {
    if !policy.plans_again() {
        return Err(Error::Unfit(format!(
            "{} cannot evict repeatedly, because it plans whole caches only: use an ALLOCATOR+SCORER policy, such as \
             streaming-llm",
            policy.spec()
        )));
    }
    match whole_context_need(policy) {
        None => Ok(()),
        Some(_) => Err(Error::Unfit(format!(
            "{} cannot evict repeatedly, because it needs a second pass over the whole context: use another policy, \
             such as streaming-llm",
            policy.spec()
        ))),
    }
}
