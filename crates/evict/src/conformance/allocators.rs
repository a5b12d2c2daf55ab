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
        guard(findings, allocator);
        // Where a head holds one token, there is nothing to divide.
        for cache in Cache::several(needs).iter().filter(|cache| cache.shape.tokens > 1) {
            each(findings, allocator, cache);
        }
    })
}

/// What holds of every cache.
fn each(findings: &mut Findings, allocator: &dyn Allocator, cache: &Cache) {
    let (view, declared) = (cache.view(), allocator.needs());
    let scores = drawn(&view, 1);
    let held: usize = scores.iter().map(Vec::len).sum();
    let total = (held / 3).max(scores.len());
    let weigh = |observation: &Observation<'_>, scores: &[Vec<f32>]| {
        let weights = allocator.weigh(&Division { observation, scores, total });
        weights.into_iter().map(f64::to_bits).collect::<Vec<u64>>()
    };
    let found = weigh(&view, &scores);
    let valid = |&bits: &u64| f64::from_bits(bits).is_finite() && f64::from_bits(bits) >= 0.0;
    findings.expect(Expectation::Finite, found.iter().all(valid) && found.len() == scores.len(), || {
        format!("{} has a head without such a weight", cache.name)
    });
    findings.expect(Expectation::Deterministic, found == weigh(&view, &scores), || {
        format!("{} was divided anew when it was divided again", cache.name)
    });
    let redrawn = cache.redrawn_but(&declared);
    let alone = view.clone().only(&declared);
    let unchanged = found == weigh(&redrawn.view(), &scores) && found == weigh(&alone, &scores);
    findings.expect(Expectation::DeclaredNeeds, unchanged, || {
        format!("weights of {} change with something else; declare it in `needs`", cache.name)
    });
    let compares = found != weigh(&view, &drawn(&view, 2));
    findings.expect(Expectation::DeclaredComparison, allocator.compares() || !compares, || {
        format!("weights of {} change with the scores; declare `compares`", cache.name)
    });
}

/// What holds of every guard and share.
fn guard(findings: &mut Findings, allocator: &dyn Allocator) {
    for guard in [Guard::default(), Guard { sinks: 0, recent: 0 }, Guard { sinks: 64, recent: 3 }] {
        for share in 0..100 {
            let fitted = allocator.fit(guard, share);
            let within = fitted.sinks <= guard.sinks && fitted.recent <= guard.recent;
            let fits = fitted.sinks.saturating_add(fitted.recent) <= share;
            findings.expect(Expectation::Guard, within && fits, || {
                format!("{guard:?} was fitted to a share of {share} as {fitted:?}")
            });
        }
    }
}

/// Scores for every token held.
fn drawn(seen: &Observation<'_>, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = Rng::new(seed);
    let heads = 0..seen.shape.all_kv_heads();
    heads.map(|head| (0..seen.held(head)).map(|_| rng.unit() as f32).collect()).collect()
}
