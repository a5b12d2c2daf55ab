//! Generates text from a cache that a policy compresses after the prompt is read.

use bitkv_bitnet::{
    AfterPrefill, Cache, CachePrecision, Generated, GenerationOptions, KvCache, ProbeOutput, Probes,
    Quantisation, generate_batch,
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
    /// The numbers about heads that the policy needs.
    pub calibration: Calibration,
}

/// The result of a generation, and the caches after it.
pub struct GenerationOutcome {
    /// The prompts, as they were given.
    pub prompts: Vec<Vec<u32>>,
    /// The tokens that were generated after each prompt.
    pub generated: Vec<Generated>,
    /// The cache of each prompt.
    pub caches: Vec<Cache>,
    /// The entries that eviction kept for each prompt; `None` without eviction.
    pub kept_entries: Vec<Option<usize>>,
}

/// The formats of the caches while and after the prompts are read.
#[derive(Clone, Copy, Debug)]
pub struct Storage {
    /// The number format while prompts are read.
    pub precision: CachePrecision,
    /// The quantisation that is applied after the prompts are read, if any.
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
) -> Result<GenerationOutcome> {
    let mut caches = vec![loaded.model.new_cache_with_precision(storage.precision); prompts.len()];
    let mut kept_entries = vec![None; prompts.len()];
    let probes = eviction.map(|e| observation::probes_for(&e.policy.needs())).unwrap_or_default();
    let mut after_prompt = |i: usize, probed: &ProbeOutput, cache: &mut dyn KvCache| {
        if let Some(eviction) = eviction {
            kept_entries[i] = Some(eviction.evict(loaded, &prompts[i], probed, cache)?);
        }
        storage.quantisation.map_or(Ok(()), |quantisation| Ok(cache.quantise(quantisation)?))
    };
    let changes = eviction.is_some() || storage.quantisation.is_some();
    let hook: Option<(&Probes, AfterPrefill<'_>)> = changes.then_some((&probes, &mut after_prompt));
    let slices: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let mut borrowed: Vec<&mut dyn KvCache> = caches.iter_mut().map(|c| c as &mut dyn KvCache).collect();
    let generated = generate_batch(&loaded.model, &slices, &mut borrowed, options, hook, on_token)?;
    Ok(GenerationOutcome { generated, prompts, caches, kept_entries })
}

impl Eviction {
    /// Evicts from the cache of a prompt. Returns the number of entries that are kept.
    fn evict(
        &self,
        loaded: &LoadedModel,
        prompt: &[u32],
        probed: &ProbeOutput,
        cache: &mut dyn KvCache,
    ) -> Result<usize> {
        let needs = self.policy.needs();
        let mut observation =
            OwnedObservation::gather(loaded, prompt.len(), probed.clone(), &needs, &self.calibration);
        if needs.contains(Need::Reconstruction) {
            let mut whole = loaded.model.new_cache();
            loaded.model.forward(prompt, &mut whole, None)?;
            observation.reconstruct(loaded, &whole, prompt, &needs)?;
        }
        let plan = self.policy.plan(&observation.view(), self.budget)?;
        cache.keep(&|layer, head| plan.kept(layer, head).to_vec())?;
        Ok(plan.total())
    }
}
