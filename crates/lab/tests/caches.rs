//! A cache that really drops evicted tokens gives the same logits as a cache that masks them. This is checked
//! on two trained models for every policy, also for repeated eviction while decoding and for quantised keys
//! and values.

mod support;

use bitkv_bitnet::{Cache, CacheShape, KvCache, MaskedCache, Probes, Quantisation};
use bitkv_evict::{Budget, Need, Needs, Plan, Planner, Policy};
use bitkv_lab::{
    context::Context,
    logits::Logits,
    observation::{OwnedObservation, probes_for},
};
use bitkv_models::LoadedModel;
use support::{calibration, every_policy, loaded_models, needs, window};

/// The largest allowed difference between two logits. It is 0, because both caches do the same arithmetic.
/// This holds for quantised caches too, because a masked cache quantises only the tokens that it does not
/// mask.
const TOLERANCE: f32 = 0.0;

const CONTEXT: usize = 90;
const CONTINUATION: usize = 20;
/// The tokens that are decoded between two evictions.
const EVERY: usize = 5;

fn logits(loaded: &LoadedModel, tokens: &[u32], cache: &mut dyn KvCache) -> Vec<Vec<f32>> {
    let hidden = loaded.model.forward(tokens, cache, None).unwrap().hidden;
    loaded.model.logits(&hidden).unwrap().to_vec2().unwrap()
}

fn rows(logits: &Logits) -> Vec<Vec<f32>> {
    logits.rows().map(<[f32]>::to_vec).collect()
}

fn distance(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Returns a masked cache that holds the whole context.
fn masked(loaded: &LoadedModel, context: &[u32]) -> MaskedCache {
    let mut cache = MaskedCache::new(CacheShape::from_config(loaded.config()));
    loaded.model.forward(context, &mut cache, None).unwrap();
    cache
}

fn keep(cache: &mut dyn KvCache, plan: &Plan) {
    cache.keep(&|layer, head| plan.kept(layer, head).to_vec()).unwrap();
}

#[test]
fn evicting_gives_the_logits_of_masking() {
    for loaded in loaded_models() {
        let tokens = window(&loaded, 1, CONTEXT + CONTINUATION);
        let policies = every_policy();
        let (before, after) = tokens.split_at(CONTEXT);
        let (needs, calibration) = (needs(&policies), calibration(&loaded));
        let context =
            Context::read(&loaded, before, after, &needs, &calibration, &Probes::default()).unwrap();
        let view = context.observation().view();
        let planner = Planner::new(&view);
        let whole = masked(&loaded, before);
        let (mut ragged_plans, mut refused) = (0, Vec::new());
        for (policy, budget) in policies.iter().flat_map(|policy| [0.5, 0.15].map(|b| (policy, b))) {
            let plan = match planner.plan(policy, Budget::fraction(budget).unwrap()) {
                Ok(plan) => plan,
                Err(error) => {
                    refused.push(format!("{policy}: {error}"));
                    continue;
                }
            };
            let ragged = context.continue_with(&plan).unwrap();
            let mut hidden = whole.clone();
            keep(&mut hidden, &plan);
            let found = distance(&rows(&ragged.logits), &logits(&loaded, after, &mut hidden));
            assert!(found <= TOLERANCE, "{policy} at {budget}: {found}");
            let lengths: Vec<usize> = plan.counts().collect();
            ragged_plans += lengths.iter().any(|&length| length != lengths[0]) as usize;
            assert_eq!(ragged.bytes, (plan.total() * loaded.config().head_dim * 4) as u64);
            let changed = distance(&rows(&ragged.logits), &rows(context.reference()));
            assert!(plan.kept_fraction() == 1.0 || changed > 0.0, "{policy} at {budget} changes nothing");
        }
        assert!(ragged_plans >= 100, "only {ragged_plans} plans have heads of different lengths");
        assert!(refused.len() * 20 < 2 * policies.len(), "too many refuse: {refused:?}");
    }
}

/// Reads a block of tokens into a cache. Returns the logits and the observation for the next eviction.
fn read_block(
    loaded: &LoadedModel,
    block: &[u32],
    cache: &mut Cache,
    policy: &Policy,
) -> (Vec<Vec<f32>>, OwnedObservation) {
    let needs = policy.needs();
    let output = loaded.model.forward(block, cache, Some(&probes_for(&needs))).unwrap();
    let rows = loaded.model.logits(&output.hidden).unwrap().to_vec2().unwrap();
    let (seen, calibration) = (cache.tokens_seen(), calibration(loaded));
    (rows, OwnedObservation::gather(loaded, seen, output.probed.unwrap(), &needs, &calibration))
}

/// Returns the policies that can evict repeatedly. They need neither the future attention nor a repetition of
/// the context.
fn repeatable_policies() -> Vec<Policy> {
    let unavailable = Needs::from([Need::Future, Need::Reconstruction]);
    let mut policies = every_policy();
    policies
        .retain(|p| p.conserves() && p.spec().contains('+') && p.needs().without(&unavailable) == p.needs());
    policies
}

#[test]
fn evicting_while_decoding_gives_the_logits_of_masking() {
    for loaded in loaded_models() {
        let tokens = window(&loaded, 2, CONTEXT + CONTINUATION);
        let (before, after) = tokens.split_at(CONTEXT);
        let whole = masked(&loaded, before);
        let policies = repeatable_policies();
        assert!(policies.len() > 100);
        for policy in &policies {
            let mut cache = loaded.model.new_cache();
            let mut hidden = whole.clone();
            let (_, mut observation) = read_block(&loaded, before, &mut cache, policy);
            for block in after.chunks(EVERY) {
                let plan = policy.plan(&observation.view(), Budget::tokens(24).unwrap()).unwrap();
                keep(&mut cache, &plan);
                keep(&mut hidden, &plan);
                let bytes = plan.total() * loaded.config().head_dim * 4;
                assert_eq!(cache.bytes(), bytes, "{policy}");
                let (rows, next) = read_block(&loaded, block, &mut cache, policy);
                let found = distance(&rows, &logits(&loaded, block, &mut hidden));
                assert!(found <= TOLERANCE, "{policy} after {} tokens: {found}", cache.tokens_seen());
                observation = next;
            }
        }
    }
}

#[test]
fn evicting_from_quantised_caches_gives_the_logits_of_masking() {
    let kivi = |bits| Quantisation::Kivi { bits, group: 8, residual: 8 };
    let formats = [Quantisation::Int8, Quantisation::Int4, kivi(4), kivi(2)];
    for loaded in loaded_models() {
        let tokens = window(&loaded, 4, CONTEXT + CONTINUATION);
        let (before, after) = tokens.split_at(CONTEXT);
        let whole = masked(&loaded, before);
        for spec in [
            "uniform+recency",
            "entropy+window-attention",
            "adaptive+key-diff",
            "global+defensive",
            "duo+tova",
        ] {
            let policy = Policy::parse(spec).unwrap();
            for format in formats {
                let mut cache = loaded.model.new_cache();
                let (_, observation) = read_block(&loaded, before, &mut cache, &policy);
                let plan = policy.plan(&observation.view(), Budget::fraction(0.5).unwrap()).unwrap();
                let mut hidden = whole.clone();
                keep(&mut cache, &plan);
                keep(&mut hidden, &plan);
                let plain = logits(&loaded, after, &mut cache.clone());
                cache.quantise(format).unwrap();
                hidden.quantise(format).unwrap();
                assert!(
                    cache.bytes() * 4 < plan.total() * loaded.config().head_dim * 4 * 3,
                    "{spec} {format:?}"
                );
                let found = logits(&loaded, after, &mut cache);
                let apart = distance(&found, &logits(&loaded, after, &mut hidden));
                assert!(apart <= TOLERANCE, "{spec} {format:?}: {apart}");
                assert!(distance(&found, &plain) > 0.0, "{spec} {format:?} changes nothing");
            }
        }
    }
}

#[test]
fn decoding_gives_the_logits_of_a_prefill() {
    for loaded in loaded_models() {
        let tokens = window(&loaded, 2, CONTEXT);
        let whole = logits(&loaded, &tokens, &mut loaded.model.new_cache());
        let mut cache = loaded.model.new_cache();
        let each: Vec<Vec<f32>> = tokens.iter().flat_map(|&t| logits(&loaded, &[t], &mut cache)).collect();
        let found = distance(&whole, &each);
        assert!(found <= TOLERANCE, "{}: {found}", loaded.name);
    }
}
