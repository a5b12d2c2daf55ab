//! Checks of a scorer that is not joined to an allocator.

use super::{
    caches::{Cache, LARGE},
    failure::{Expectation, Failure, Findings, findings},
};
use crate::{Head, Needs, Observation, Pooling, Scorer, entry::Metadata, needs::Extent};

/// The relative difference above which two scores are not equal.
const APART: f32 = 1e-5;

/// The number of tokens at either end that are not compared, because an eviction changes their neighbours.
const MARGIN: usize = 16;

/// Returns the failures of a scorer. `needs` are the needs of all methods that are checked.
pub(super) fn check(metadata: Metadata, scorer: &dyn Scorer, needs: &Needs) -> Vec<Failure> {
    findings(metadata.name, |findings| {
        for cache in Cache::several(needs) {
            check_cache(findings, scorer, &cache);
        }
        check_pooling(findings, metadata, scorer, &Cache::large(needs));
        if !scorer.regroups() {
            check_positions(findings, scorer, needs);
        }
    })
}

/// Returns whether all heads of a layer get the same scores, although all observations of them differ.
pub(super) fn scores_all_heads_alike(scorer: &dyn Scorer, needs: &Needs) -> bool {
    let cache = Cache::large(needs);
    let scores = scores(scorer, &cache.view(), Pooling::Mean, 0.0);
    scores.chunks(LARGE.kv_heads).all(|layer| layer.windows(2).all(|pair| pair[0] == pair[1]))
}

/// Checks a scorer on one cache.
fn check_cache(findings: &mut Findings, scorer: &dyn Scorer, cache: &Cache) {
    let (view, declared) = (cache.view(), scorer.needs());
    let found = scores(scorer, &view, Pooling::Mean, 0.0);
    let finite = |scores: &Vec<f32>| scores.iter().all(|score| score.is_finite());
    findings.expect(Expectation::Finite, found.iter().all(finite), || {
        format!("a score of {} is not finite", cache.name)
    });
    let again = scores(scorer, &view, Pooling::Mean, 0.0);
    findings.expect(Expectation::Deterministic, same(&found, &again), || {
        format!("scoring {} twice gave different scores", cache.name)
    });
    let filled = scores(scorer, &view, Pooling::Mean, 1.0);
    findings.expect(Expectation::Written, same(&found, &filled), || {
        format!("a score of {} was not written; fill `out`, or protect the token by `protects`", cache.name)
    });
    let redrawn = cache.with_others_redrawn(&declared);
    let others = scores(scorer, &redrawn.view(), Pooling::Mean, 0.0);
    findings.expect(Expectation::DeclaredNeeds, same(&found, &others), || {
        format!(
            "the scores of {} change with observations that are not declared; declare them in `needs`",
            cache.name
        )
    });
    let alone = scores(scorer, &view.only(&declared), Pooling::Mean, 0.0);
    findings.expect(Expectation::DeclaredNeeds, same(&found, &alone), || {
        format!(
            "the scores of {} change if nothing else is observed; declare everything that is read in `needs`",
            cache.name
        )
    });
}

/// Checks that the scorer declares correctly whether the option `pool` changes its scores.
fn check_pooling(findings: &mut Findings, metadata: Metadata, scorer: &dyn Scorer, cache: &Cache) {
    let view = cache.view();
    let scores_with = |pool| scores(scorer, &view, pool, 0.0);
    let mean = scores_with(Pooling::Mean);
    let changes_scores = !same(&mean, &scores_with(Pooling::Max)) || !same(&mean, &scores_with(Pooling::Sum));
    let of_query_heads =
        |need: crate::Need| matches!(need.extent(cache.shape), Extent::QueryHeads | Extent::Queries(_));
    let reads_queries = scorer.needs().iter().any(of_query_heads);
    let ignores = metadata.pools && !changes_scores && reads_queries && scorer.unpooled().is_none();
    findings.expect(Expectation::DeclaredPooling, !ignores, || {
        "the option changes no score; pool the group by `Head::pooled`, or declare `pools: false`".into()
    });
    findings.expect(Expectation::DeclaredPooling, metadata.pools || !changes_scores, || {
        "the option changes scores, and `pools: false` is declared; remove that declaration".into()
    });
}

/// Checks that tokens that differ only in their positions keep their order after other tokens are evicted.
fn check_positions(findings: &mut Findings, scorer: &dyn Scorer, needs: &Needs) {
    let all: Vec<u32> = (0..LARGE.tokens as u32).collect();
    let before = scores_of_identical_tokens(scorer, &all, needs);
    // Tokens in the middle, or all tokens at the start, are evicted. This changes the neighbours of other
    // tokens.
    let thinned: Vec<u32> = all.iter().copied().filter(|p| !(24..144).contains(p) || p % 3 == 0).collect();
    let shifted: Vec<u32> = all.iter().copied().filter(|&p| p >= 40).collect();
    for (held, margin) in [(thinned, 0), (shifted, MARGIN)] {
        let after = scores_of_identical_tokens(scorer, &held, needs);
        for (before, after) in before.iter().zip(&after) {
            let rows = margin..after.len().saturating_sub(margin);
            let both: Vec<(f32, f32)> = rows
                .map(|row| (before.get(held[row] as usize).copied(), after[row]))
                .filter_map(|(before, after)| Some((before?, after)))
                .collect();
            findings.expect(Expectation::Positions, !is_reversed(both), || {
                "the order of identical tokens changes when other tokens are evicted; read `Head::positions`, or \
                 implement `regroups` if rows are meant"
                    .into()
            });
        }
    }
}

/// Returns the scores of a cache of identical tokens.
fn scores_of_identical_tokens(scorer: &dyn Scorer, held: &[u32], needs: &Needs) -> Vec<Vec<f32>> {
    let cache = Cache::identical_tokens(held, needs);
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

/// Returns the scores of every KV head, `[layers * kv_heads][held]`, without those of protected tokens. `out`
/// is filled with `fill` before the scorer writes to it.
fn scores(scorer: &dyn Scorer, observation: &Observation<'_>, pool: Pooling, fill: f32) -> Vec<Vec<f32>> {
    let score = |index| {
        let mut out = vec![fill; observation.held(index)];
        scorer.score(&Head::new(observation, index, pool), &mut out);
        out.truncate(out.len().saturating_sub(scorer.protects()));
        out
    };
    (0..observation.shape.all_kv_heads()).map(score).collect()
}

/// Returns whether scores are the same, bit for bit.
fn same(a: &[Vec<f32>], b: &[Vec<f32>]) -> bool {
    let bits = |scores: &[Vec<f32>]| -> Vec<Vec<u32>> {
        scores.iter().map(|row| row.iter().map(|score| score.to_bits()).collect()).collect()
    };
    bits(a) == bits(b)
}
