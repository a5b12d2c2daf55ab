//! The hooks through which a session evicts while texts are generated.

use bitkv_bitnet::{HookError, Hooks, KvCache, ProbeOutput, Probes};
use bitkv_evict::{Budget, Need};
use bitkv_models::LoadedModel;

use super::{Eviction, Storage, TextState, pace::Pace};
use crate::{
    Result,
    observation::{OwnedObservation, shape},
};

/// What a session does while it generates one turn.
pub(super) struct SessionHooks<'s, 'a> {
    pub(super) loaded: &'a LoadedModel,
    pub(super) storage: Storage,
    pub(super) eviction: Option<&'a Eviction>,
    pub(super) probes: Option<Probes>,
    /// The prompt of each text.
    pub(super) prompts: &'s [Vec<u32>],
    /// The part of each prompt that is not read yet.
    pub(super) last_parts: &'s [&'s [u32]],
    pub(super) texts: &'s mut [TextState<'a>],
    pub(super) pace: Pace,
    pub(super) on_token: &'s mut dyn FnMut(usize, u32) -> bool,
}

impl SessionHooks<'_, '_> {
    /// Evicts after the prompt of a text, and quantises its cache.
    fn compress(&mut self, i: usize, probed: ProbeOutput, cache: &mut dyn KvCache) -> Result<()> {
        let (text, prompt) = (&mut self.texts[i], &self.prompts[i]);
        text.tokens.extend(self.last_parts[i]);
        text.history.most_bytes = text.history.most_bytes.max(cache.bytes());
        if let (Some(eviction), Some(evictor)) = (self.eviction, &mut text.evictor) {
            let mut observation = evictor.observe(probed, cache.tokens_seen());
            let needs = eviction.policy.needs();
            if needs.contains(Need::Reconstruction) {
                let mut whole = self.loaded.model.new_cache();
                self.loaded.model.forward(prompt, &mut whole, None)?;
                observation.reconstruct(self.loaded, &whole, prompt, &needs)?;
            }
            let whole = shape(self.loaded, prompt.len());
            let budget = *text.budget.get_or_insert_with(|| eviction.budget.fixed_for(whole));
            text.evict(&observation, budget, cache)?;
        }
        self.storage.quantisation.map_or(Ok(()), |quantisation| Ok(cache.quantise(quantisation)?))
    }

    /// Evicts if enough tokens were decoded since the last eviction.
    fn evict_if_due(&mut self, i: usize, cache: &mut dyn KvCache) -> Result<()> {
        let text = &mut self.texts[i];
        let every = self.eviction.and_then(|eviction| eviction.when.every);
        if Some(text.since_eviction) != every {
            return Ok(());
        }
        let (Some(evictor), Some(budget)) = (&mut text.evictor, text.budget) else { return Ok(()) };
        let newest = &text.tokens[text.tokens.len() - text.since_eviction..];
        let observation = evictor.observe_newest(newest, cache)?;
        text.evict(&observation, budget, cache)
    }
}

impl Hooks for SessionHooks<'_, '_> {
    fn probes(&self) -> Option<&Probes> {
        self.probes.as_ref()
    }

    fn earlier_tokens(&self, text: usize) -> &[u32] {
        &self.texts[text].tokens
    }

    fn after_prefill(
        &mut self,
        text: usize,
        probed: ProbeOutput,
        cache: &mut dyn KvCache,
    ) -> std::result::Result<(), HookError> {
        self.compress(text, probed, cache)?;
        self.pace.start();
        Ok(())
    }

    fn on_token(&mut self, text: usize, token: u32) -> bool {
        (self.on_token)(text, token)
    }

    fn after_step(
        &mut self,
        text: usize,
        token: u32,
        cache: &mut dyn KvCache,
    ) -> std::result::Result<(), HookError> {
        let (state, bytes) = (&mut self.texts[text], cache.bytes());
        state.tokens.push(token);
        state.since_eviction += 1;
        state.history.most_bytes = state.history.most_bytes.max(bytes);
        self.evict_if_due(text, cache)?;
        self.pace.count(bytes);
        Ok(())
    }
}

impl TextState<'_> {
    /// Evicts from the cache of the text down to the budget.
    pub(super) fn evict(
        &mut self,
        observation: &OwnedObservation,
        budget: Budget,
        cache: &mut dyn KvCache,
    ) -> Result<()> {
        self.since_eviction = 0;
        let Some(evictor) = &mut self.evictor else { return Ok(()) };
        let before = entries(cache);
        let plan = evictor.evict(observation, budget, cache)?;
        self.history.kept_entries = Some(plan.total());
        self.history.evictions += usize::from(plan.total() < before);
        Ok(())
    }
}

/// Returns the number of entries that all heads of a cache hold.
fn entries(cache: &dyn KvCache) -> usize {
    let shape = cache.shape();
    let in_layer = |layer| (0..shape.kv_heads).map(move |head| cache.view(layer, head).positions.len());
    (0..shape.layers).flat_map(in_layer).sum()
}
