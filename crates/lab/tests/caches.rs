//! On the built-in models: the ragged cache gives the logits of a masked one, and decoding those of prefill.

mod support;

use bitkv_bitnet::{CacheShape, KvCache, MaskedCache};
use bitkv_evict::{Budget, Plan};
use bitkv_lab::{Subject, context::Context};
use support::{needs, policies, profile, subjects, window};

/// How far two logits of the same model may be apart; both paths do the same arithmetic, so nothing is allowed.
const TOLERANCE: f32 = 0.0;

const CONTEXT: usize = 90;
const CONTINUATION: usize = 20;

fn logits(subject: &Subject, tokens: &[u32], cache: &mut dyn KvCache) -> Vec<Vec<f32>> {
    let hidden = subject.model.forward(tokens, cache, None).unwrap().hidden;
    subject.model.logits(&hidden).unwrap().to_vec2().unwrap()
}

fn distance(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The continuation through a full-size cache that hides what `plan` evicts.
fn masked(subject: &Subject, tokens: &[u32], plan: &Plan) -> Vec<Vec<f32>> {
    let mut cache = MaskedCache::new(CacheShape::of(subject.config()));
    subject.model.forward(&tokens[..CONTEXT], &mut cache, None).unwrap();
    cache.keep(&|layer, head| plan.kept(layer, head).to_vec()).unwrap();
    logits(subject, &tokens[CONTEXT..], &mut cache)
}

#[test]
fn evicting_equals_masking() {
    for subject in subjects() {
        let tokens = window(&subject, 1, CONTEXT + CONTINUATION);
        let policies = policies();
        let (before, after) = tokens.split_at(CONTEXT);
        let context = Context::read(&subject, before, after, &needs(&policies)).unwrap();
        let entropy = profile(&subject);
        let mut ragged_plans = 0;
        for (policy, budget) in policies.iter().flat_map(|policy| [0.5, 0.15].map(|b| (policy, b))) {
            let plan =
                policy.plan(&context.observation(&entropy), Budget::fraction(budget).unwrap()).unwrap();
            let ragged = context.continue_with(&plan).unwrap();
            let found = distance(&ragged.logits, &masked(&subject, &tokens, &plan));
            assert!(found <= TOLERANCE, "{policy} at {budget}: {found}");
            let lengths: Vec<usize> = plan.counts().collect();
            ragged_plans += lengths.iter().any(|&length| length != lengths[0]) as usize;
            assert_eq!(ragged.bytes, (plan.total() * subject.config().head_dim * 4) as u64);
            let changed = distance(&ragged.logits, context.reference());
            assert!(plan.realised() == 1.0 || changed > 0.0, "{policy} at {budget} changes nothing");
        }
        assert!(ragged_plans >= 8, "only {ragged_plans} plans have heads of different lengths");
    }
}

#[test]
fn decoding_equals_prefill() {
    for subject in subjects() {
        let tokens = window(&subject, 2, CONTEXT);
        let whole = logits(&subject, &tokens, &mut subject.model.new_cache());
        let mut cache = subject.model.new_cache();
        let each: Vec<Vec<f32>> = tokens.iter().flat_map(|&t| logits(&subject, &[t], &mut cache)).collect();
        let found = distance(&whole, &each);
        assert!(found <= TOLERANCE, "{}: {found}", subject.name);
    }
}
