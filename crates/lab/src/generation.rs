//! Generates text from a cache that a policy compresses after the prompt is read.

use bitkv_bitnet::{
    AfterPrefill, Cache, Generated, GenerationOptions, KvCache, Precision, ProbeOutput, Probes, Quantisation,
    generate_batch,
};
use bitkv_evict::{Budget, Need, Policy};
use bitkv_models::LoadedModel;

use crate::{
    Result,
    observation::{self, Calibration, OwnedObservation},
};

/// A policy at a budget, with the calibration that it needs to plan.
#[derive(Debug)]
pub struct Eviction {
    /// The policy.
    pub policy: Policy,
    /// How much is kept.
    pub budget: Budget,
    /// Calibration about heads that it needs.
    pub numbers: Calibration,
}

/// What a generation made and left.
pub struct Outcome {
    /// The prompts, as they were given.
    pub prompts: Vec<Vec<u32>>,
    /// What was generated after each of them.
    pub made: Vec<Generated>,
    /// Their caches.
    pub caches: Vec<Cache>,
    /// Entries that an eviction kept, by prompt.
    pub kept: Vec<Option<usize>>,
}

/// The formats of the caches while and after the prompts are read.
#[derive(Clone, Copy, Debug)]
pub struct Storage {
    /// The type of numbers while prompts are read.
    pub precision: Precision,
    /// What they are quantised to then.
    pub quantisation: Option<Quantisation>,
}

/// Generates tokens after all prompts. With `eviction`, each cache is compressed after its prompt. `on_token`
/// is called with the index of the prompt and each new token; when it returns false, the generation for that
/// prompt ends.
///
/// # Errors
/// Returns an error if a prompt or an option is refused, or the policy cannot plan.
pub fn generate(
    loaded: &LoadedModel,
    prompts: Vec<Vec<u32>>,
    storage: Storage,
    options: &GenerationOptions,
    eviction: Option<&Eviction>,
    on_token: &mut dyn FnMut(usize, u32) -> bool,
) -> Result<Outcome> {
    let mut caches = vec![loaded.model.new_cache_of(storage.precision); prompts.len()];
    let mut kept = vec![None; prompts.len()];
    let observe = eviction.map(|e| observation::observe(&e.policy.needs())).unwrap_or_default();
    let mut after_prompt = |i: usize, observed: &ProbeOutput, cache: &mut dyn KvCache| {
        if let Some(eviction) = eviction {
            kept[i] = Some(eviction.evict(loaded, &prompts[i], observed, cache)?);
        }
        storage.quantisation.map_or(Ok(()), |quantisation| Ok(cache.quantise(quantisation)?))
    };
    let changes = eviction.is_some() || storage.quantisation.is_some();
    let hook: Option<(&Probes, AfterPrefill<'_>)> = changes.then_some((&observe, &mut after_prompt));
    let slices: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let mut borrowed: Vec<&mut dyn KvCache> = caches.iter_mut().map(|c| c as &mut dyn KvCache).collect();
    let made = generate_batch(&loaded.model, &slices, &mut borrowed, options, hook, on_token)?;
    Ok(Outcome { made, prompts, caches, kept })
}

impl Eviction {
    /// Evicts from the cache of a prompt. Returns the number of entries that are kept.
    fn evict(
        &self,
        loaded: &LoadedModel,
        prompt: &[u32],
        observed: &ProbeOutput,
        cache: &mut dyn KvCache,
    ) -> Result<usize> {
        let needs = self.policy.needs();
        let mut seen =
            OwnedObservation::gather(loaded, prompt.len(), observed.clone(), &needs, &self.numbers);
        if needs.contains(Need::Reconstruction) {
            let mut whole = loaded.model.new_cache();
            loaded.model.forward(prompt, &mut whole, None)?;
            seen.reconstruct(loaded, &whole, prompt, &needs)?;
        }
        let plan = self.policy.plan(&seen.view(), self.budget)?;
        cache.keep(&|layer, head| plan.kept(layer, head).to_vec())?;
        Ok(plan.total())
    }
}
