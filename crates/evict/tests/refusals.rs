//! The errors of planning, each one sentence.

use bitkv_evict::{Budget, Error, Need, Observation, Policy, Shape};

const SHAPE: Shape = Shape { layers: 1, query_heads: 2, kv_heads: 1, tokens: 3, head_dim: 2 };

fn refusal(spec: &str, seen: &Observation<'_>) -> String {
    let policy = Policy::parse(spec).unwrap();
    let said = policy.plan(seen, Budget::FULL).unwrap_err().to_string();
    assert!(!said.contains('\n'), "{said}");
    said
}

#[test]
fn what_was_not_observed_is_named() {
    let blind = Observation::new(SHAPE);
    assert_eq!(
        refusal("entropy+window-attention", &blind),
        "policy `entropy+window-attention` needs attention of the last 32 queries and calibrated entropies; \
         observe what the policy's needs list before planning"
    );
    assert!(refusal("uniform+key-norm", &blind).contains("needs keys;"));
    assert!(refusal("uniform+accumulated-attention", &blind).contains("needs accumulated attention;"));
    assert!(refusal("uniform+oracle", &blind).contains("needs future attention;"));
    assert!(refusal("entropy-inverted", &blind).contains("needs attention of the last query and calibrated"));
}

#[test]
fn another_window_will_not_do() {
    let rows = [[0.1f32; 3]; 2];
    let seen = Observation::new(SHAPE).with_rows(Need::Window(16), &rows);
    assert!(refusal("uniform+window-attention", &seen).contains("the last 32 queries"));
    assert!(Policy::parse("uniform+window-attention{window=16}").unwrap().plan(&seen, Budget::FULL).is_ok());
}

#[test]
fn wrong_extents_are_named() {
    let (short, row) = ([0.0f32; 2], [0.0f32; 3]);
    let mut seen = Observation::new(SHAPE).with_rows(Need::Accumulated, [&row[..]]);
    let spec = "uniform+accumulated-attention";
    assert_eq!(
        refusal(spec, &seen),
        "the observed accumulated attention has 1 entries where the cache's shape asks for 2"
    );
    seen = seen.with_rows(Need::Accumulated, [&row[..], &short]);
    assert_eq!(
        refusal(spec, &seen),
        "the observed accumulated attention of layer 0, query head 1 has 2 entries \
         where the cache's shape asks for 3"
    );
    seen = seen.with_rows(Need::Keys, [&row[..]]);
    assert!(refusal("uniform+key-norm", &seen).contains("keys of layer 0, KV head 0 has 3 entries"));
    seen = seen.with_numbers(Need::Entropy, &[1.0]);
    assert!(refusal("entropy+recency", &seen).contains("calibrated entropies has 1 entries"));
}

#[test]
fn what_is_not_finite_is_named() {
    let (good, bad) = ([0.0f32; 3], [0.0, f32::NAN, 0.0]);
    let mut seen = Observation::new(SHAPE).with_rows(Need::Accumulated, [&good, &bad]);
    let said = refusal("uniform+accumulated-attention{pool='max'}", &seen);
    assert!(said.contains("accumulated attention of layer 0, query head 1 at index 1 is NaN"), "{said}");
    for (value, entropy) in &[(f64::NAN, [1.0, f64::NAN]), (-1.0, [1.0, -1.0])] {
        seen = seen.with_numbers(Need::Entropy, entropy);
        let said = refusal("entropy+recency", &seen);
        assert!(
            said.starts_with(&format!("the entropy of head 1 (counted over all layers) is {value}")),
            "{said}"
        );
    }
}

#[test]
fn scores_that_overflow_are_refused() {
    let huge = [1.0, f32::MAX, 1.0];
    let seen = Observation::new(SHAPE).with_rows(Need::Accumulated, [&huge, &huge]);
    let said = refusal("uniform+accumulated-attention{pool='sum'}", &seen);
    assert!(said.contains("scores position 1 of layer 0, KV head 0 with inf"), "{said}");
}

#[test]
fn impossible_shapes_are_refused() {
    let refused = |shape: Shape, why: &str| {
        let said = refusal("uniform+recency", &Observation::new(shape));
        assert!(said.contains(why), "{said}");
    };
    refused(Shape { tokens: 0, ..SHAPE }, "0 tokens, all of which must be at least 1");
    refused(Shape { kv_heads: 0, ..SHAPE }, "0 KV heads");
    refused(
        Shape { query_heads: 3, kv_heads: 2, ..SHAPE },
        "3 query heads do not divide evenly among 2 KV heads",
    );
    refused(Shape { layers: usize::MAX, ..SHAPE }, "are too many");
    refused(Shape { tokens: 1 << 40, ..SHAPE }, "are too many");
    let empty = [0.0f32; 0];
    let seen = Observation::new(Shape { head_dim: 0, ..SHAPE }).with_rows(Need::Keys, [&empty]);
    assert!(refusal("uniform+key-norm", &seen).contains("head_dim is 0"));
}

#[test]
fn channels_that_have_no_pair_are_refused() {
    let (keys, moments) = ([0.0f32; 9], [0.0f32; 12]);
    let mut seen = Observation::new(Shape { head_dim: 3, ..SHAPE })
        .with_rows(Need::Keys, [&keys])
        .with_rows(Need::Values, [&keys])
        .with_rows(Need::QueryMoments(4), [&moments, &moments]);
    seen.rope_theta = Some(10_000.0);
    let said = refusal("uniform+expected-attention", &seen);
    assert!(said.ends_with("query moments are rotated by pairs of channels, but head_dim is 3"), "{said}");
}

#[test]
fn errors_can_be_told_apart() {
    let blind = Observation::new(SHAPE);
    let policy = Policy::parse("uniform+oracle").unwrap();
    assert!(matches!(policy.plan(&blind, Budget::FULL), Err(Error::Unobserved { .. })));
}

#[test]
fn impossible_positions_are_refused() {
    let refused = |positions: Vec<&[u32]>, why: &str| {
        let mut seen = Observation::new(SHAPE);
        seen.positions = positions;
        let said = refusal("uniform+recency", &seen);
        assert!(said.contains(why), "{said}");
    };
    refused(vec![&[]], "layer 0, KV head 0 holds no token");
    refused(vec![&[1, 0]], "positions that do not ascend");
    refused(vec![&[0, 0]], "positions that do not ascend");
    refused(vec![&[0, 3]], "a position after the last token");
    refused(vec![&[0], &[1]], "list of positions has 2 entries");
}

#[test]
fn a_rule_refuses_a_cache_that_was_cut() {
    let mut seen = Observation::new(SHAPE);
    seen.positions = vec![&[0, 2]];
    assert!(refusal("full", &seen).starts_with("policy `full` plans whole caches only"));
}
