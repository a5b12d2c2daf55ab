//! Checks of an allocator that is not joined to a scorer.

use bitkv_stats::Rng;

use super::{
    caches::Cache,
    failure::{Expectation, Failure, Findings, findings},
};
use crate::{Allocator, Division, Guard, Needs, Observation};

/// Returns the failures of an allocator. `needs` are the needs of all methods that are checked.
pub(super) fn check(name: &str, allocator: &dyn Allocator, needs: &Needs) -> Vec<Failure> {
    findings(name, |findings| {
        check_fit(findings, allocator);
        // If a head holds one token, there is nothing to divide.
        for cache in Cache::several(needs).iter().filter(|cache| cache.shape.tokens > 1) {
            check_cache(findings, allocator, cache);
        }
    })
}

/// Checks an allocator on one cache.
fn check_cache(findings: &mut Findings, allocator: &dyn Allocator, cache: &Cache) {
    let (view, declared) = (cache.view(), allocator.needs());
    let scores = random_scores(&view, 1);
    let held: usize = scores.iter().map(Vec::len).sum();
    let total = (held / 3).max(scores.len());
    let weigh = |observation: &Observation<'_>, scores: &[Vec<f32>]| {
        let weights = allocator.weigh(&Division { observation, scores, total });
        weights.into_iter().map(f64::to_bits).collect::<Vec<u64>>()
    };
    let found = weigh(&view, &scores);
    let valid = |&bits: &u64| f64::from_bits(bits).is_finite() && f64::from_bits(bits) >= 0.0;
    findings.expect(Expectation::Finite, found.iter().all(valid) && found.len() == scores.len(), || {
        format!("a weight of {} is missing, negative or not finite", cache.name)
    });
    findings.expect(Expectation::Deterministic, found == weigh(&view, &scores), || {
        format!("dividing the budget of {} twice gave different weights", cache.name)
    });
    let redrawn = cache.with_others_redrawn(&declared);
    let alone = view.clone().only(&declared);
    let unchanged = found == weigh(&redrawn.view(), &scores) && found == weigh(&alone, &scores);
    findings.expect(Expectation::DeclaredNeeds, unchanged, || {
        format!(
            "the weights of {} change with observations that are not declared; declare them in `needs`",
            cache.name
        )
    });
    let compares = found != weigh(&view, &random_scores(&view, 2));
    findings.expect(Expectation::DeclaredComparison, allocator.compares() || !compares, || {
        format!("the weights of {} change with the scores; make `compares` return true", cache.name)
    });
}

/// Checks the guards that an allocator fits to shares.
fn check_fit(findings: &mut Findings, allocator: &dyn Allocator) {
    for guard in [Guard::default(), Guard { sinks: 0, recent: 0 }, Guard { sinks: 64, recent: 3 }] {
        for share in 0..100 {
            let fitted = allocator.fit(guard, share);
            let within = fitted.sinks <= guard.sinks && fitted.recent <= guard.recent;
            let fits = fitted.sinks.saturating_add(fitted.recent) <= share;
            findings.expect(Expectation::Guard, within && fits, || {
                format!("`fit` returned {fitted:?} for {guard:?} and a share of {share} tokens")
            });
        }
    }
}

/// Returns a random score for every token that is held.
fn random_scores(observation: &Observation<'_>, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = Rng::new(seed);
    let heads = 0..observation.shape.all_kv_heads();
    heads.map(|head| (0..observation.held(head)).map(|_| rng.unit() as f32).collect()).collect()
}
