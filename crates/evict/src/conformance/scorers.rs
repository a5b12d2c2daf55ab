//! Checks of a scorer that is not joined to an allocator.

use super::{
    caches::{Cache, LARGE},
    failure::{Expectation, Failure, Findings, findings},
};
use crate::{Head, Needs, Observation, Pooling, Scorer, entry::About, needs::Extent};

/// The relative difference above which two scores are not equal.
const APART: f32 = 1e-5;

/// The number of tokens at either end that are not compared, because an eviction changes their neighbours.
const MARGIN: usize = 16;

/// The failures of a scorer; `needs` are those of everything around it.
pub(super) fn check(about: About, scorer: &dyn Scorer, needs: &Needs) -> Vec<Failure> {
    findings(about.name, |findings| {
        for cache in Cache::several(needs) {
            each(findings, scorer, &cache);
        }
        pooling(findings, about, scorer, &Cache::large(needs));
        if !scorer.regroups() {
            positions(findings, scorer, needs);
        }
    })
}

/// Whether every head is scored alike, though all that was observed of them differs.
pub(super) fn are_alike(scorer: &dyn Scorer, needs: &Needs) -> bool {
    let cache = Cache::large(needs);
    let scores = scores(scorer, &cache.view(), Pooling::Mean, 0.0);
    scores.chunks(LARGE.kv_heads).all(|layer| layer.windows(2).all(|pair| pair[0] == pair[1]))
}

/// What holds of every cache.
fn each(findings: &mut Findings, scorer: &dyn Scorer, cache: &Cache) {
    let (view, declared) = (cache.view(), scorer.needs());
    let found = scores(scorer, &view, Pooling::Mean, 0.0);
    let finite = |scores: &Vec<f32>| scores.iter().all(|score| score.is_finite());
    findings.expect(Expectation::Finite, found.iter().all(finite), || {
        format!("{} has a score that is not finite", cache.name)
    });
    let again = scores(scorer, &view, Pooling::Mean, 0.0);
    findings.expect(Expectation::Deterministic, same(&found, &again), || {
        format!("{} was scored anew when it was scored again", cache.name)
    });
    let filled = scores(scorer, &view, Pooling::Mean, 1.0);
    findings.expect(Expectation::Written, same(&found, &filled), || {
        format!("a score of {} is what was there before; fill `out`, or protect the token", cache.name)
    });
    let redrawn = cache.redrawn_but(&declared);
    let others = scores(scorer, &redrawn.view(), Pooling::Mean, 0.0);
    findings.expect(Expectation::DeclaredNeeds, same(&found, &others), || {
        format!("scores of {} change with something else; declare it in `needs`", cache.name)
    });
    let alone = scores(scorer, &view.only(&declared), Pooling::Mean, 0.0);
    findings.expect(Expectation::DeclaredNeeds, same(&found, &alone), || {
        format!("scores of {} change when nothing else is observed; declare it in `needs`", cache.name)
    });
}

/// Whether the option `pool` counts, and is said to.
fn pooling(findings: &mut Findings, about: About, scorer: &dyn Scorer, cache: &Cache) {
    let view = cache.view();
    let of = |pool| scores(scorer, &view, pool, 0.0);
    let mean = of(Pooling::Mean);
    let counts = !same(&mean, &of(Pooling::Max)) || !same(&mean, &of(Pooling::Sum));
    let of_query_heads =
        |need: crate::Need| matches!(need.extent(cache.shape), Extent::QueryHeads | Extent::Queries(_));
    let reads_queries = scorer.needs().iter().any(of_query_heads);
    let ignores = about.pools && !counts && reads_queries && scorer.unpooled().is_none();
    findings.expect(Expectation::DeclaredPooling, !ignores, || {
        "it changes no score; pool the group by `Head::pooled`, or declare `pools: false`".into()
    });
    findings.expect(Expectation::DeclaredPooling, about.pools || !counts, || {
        "it changes scores and is declared `pools: false`; remove that".into()
    });
}

/// Of tokens that are alike but for their positions, the order is the same after others were evicted.
fn positions(findings: &mut Findings, scorer: &dyn Scorer, needs: &Needs) {
    let all: Vec<u32> = (0..LARGE.tokens as u32).collect();
    let before = of_level_cache(scorer, &all, needs);
    // Between the ends, or everything at the start: there neighbours differ from what they were.
    let thinned: Vec<u32> = all.iter().copied().filter(|p| !(24..144).contains(p) || p % 3 == 0).collect();
    let shifted: Vec<u32> = all.iter().copied().filter(|&p| p >= 40).collect();
    for (held, margin) in [(thinned, 0), (shifted, MARGIN)] {
        let after = of_level_cache(scorer, &held, needs);
        for (before, after) in before.iter().zip(&after) {
            let rows = margin..after.len().saturating_sub(margin);
            let both: Vec<(f32, f32)> = rows
                .map(|row| (before.get(held[row] as usize).copied(), after[row]))
                .filter_map(|(before, after)| Some((before?, after)))
                .collect();
            findings.expect(Expectation::Positions, !is_reversed(both), || {
                "the order of like tokens changes when others are evicted; use `Head::positions`, or declare \
                 `regroups` if that is meant"
                    .into()
            });
        }
    }
}

/// The scores of a cache of like tokens.
fn of_level_cache(scorer: &dyn Scorer, held: &[u32], needs: &Needs) -> Vec<Vec<f32>> {
    let cache = Cache::level(held, needs);
    scores(scorer, &cache.view(), Pooling::Mean, 0.0)
}

/// Returns whether one of two tokens scores clearly higher than the other before an eviction and clearly
/// lower after it. `both` holds the scores of each token before and after the eviction.
fn is_reversed(mut both: Vec<(f32, f32)>) -> bool {
    both.sort_by(|a, b| a.0.total_cmp(&b.0));
    let better = |a: f32, b: f32| a - b > APART * a.abs().max(b.abs());
    // A token that was clearly worse before must not be clearly better after. It is enough to compare the
    // best of these tokens.
    let (mut best, mut passed) = (f32::NEG_INFINITY, 0);
    both.iter().any(|&(before, after)| {
        while better(before, both[passed].0) {
            best = best.max(both[passed].1);
            passed += 1;
        }
        best > f32::NEG_INFINITY && better(best, after)
    })
}

/// The scores of every KV head, `[layers * kv_heads][held]`, without those of protected tokens, where `out`
/// was filled with a number before.
fn scores(scorer: &dyn Scorer, seen: &Observation<'_>, pool: Pooling, fill: f32) -> Vec<Vec<f32>> {
    let score = |index| {
        let mut out = vec![fill; seen.held(index)];
        scorer.score(&Head::new(seen, index, pool), &mut out);
        out.truncate(out.len().saturating_sub(scorer.protects()));
        out
    };
    (0..seen.shape.all_kv_heads()).map(score).collect()
}

/// Returns whether scores are the same, bit for bit.
fn same(a: &[Vec<f32>], b: &[Vec<f32>]) -> bool {
    let bits = |scores: &[Vec<f32>]| -> Vec<Vec<u32>> {
        scores.iter().map(|row| row.iter().map(|score| score.to_bits()).collect()).collect()
    };
    bits(a) == bits(b)
}
