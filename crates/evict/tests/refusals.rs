//! The errors of planning, each one sentence.

use bitkv_evict::{Budget, Error, Need, Observation, Policy, Shape};

const SHAPE: Shape = Shape { layers: 1, query_heads: 2, kv_heads: 1, tokens: 3, head_dim: 2 };

fn refusal(spec: &str, observation: &Observation<'_>) -> String {
    let policy = Policy::parse(spec).unwrap();
    let message = policy.plan(observation, Budget::FULL).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn missing_observations_are_named() {
    let blind = Observation::new(SHAPE);
    assert_eq!(
        refusal("entropy+window-attention", &blind),
        "policy `entropy+window-attention` needs attention of the last 32 queries and calibrated entropies, \
         which was not observed: observe everything that `Policy::needs` lists before planning"
    );
    assert!(refusal("uniform+key-norm", &blind).contains("needs keys, which was not observed:"));
    assert!(
        refusal("uniform+accumulated-attention", &blind)
            .contains("needs accumulated attention, which was not observed:")
    );
    assert!(refusal("uniform+oracle", &blind).contains("needs future attention, which was not observed:"));
    assert!(refusal("entropy-inverted", &blind).contains("needs attention of the last query and calibrated"));
}

#[test]
fn a_window_of_another_length_does_not_suffice() {
    let rows = [[0.1f32; 3]; 2];
    let observation = Observation::new(SHAPE).with_rows(Need::Window(16), &rows);
    assert!(refusal("uniform+window-attention", &observation).contains("the last 32 queries"));
    assert!(
        Policy::parse("uniform+window-attention{window=16}")
            .unwrap()
            .plan(&observation, Budget::FULL)
            .is_ok()
    );
}

#[test]
fn wrong_extents_are_named() {
    let (short, row) = ([0.0f32; 2], [0.0f32; 3]);
    let mut observation = Observation::new(SHAPE).with_rows(Need::Accumulated, [&row[..]]);
    let spec = "uniform+accumulated-attention";
    assert_eq!(
        refusal(spec, &observation),
        "the observation of accumulated attention has 1 entries, but the shape of the cache requires 2"
    );
    observation = observation.with_rows(Need::Accumulated, [&row[..], &short]);
    assert_eq!(
        refusal(spec, &observation),
        "the observation of accumulated attention of layer 0, query head 1 has 2 entries, \
         but the shape of the cache requires 3"
    );
    observation = observation.with_rows(Need::Keys, [&row[..]]);
    assert!(refusal("uniform+key-norm", &observation).contains("keys of layer 0, KV head 0 has 3 entries"));
    observation = observation.with_numbers(Need::Entropy, &[1.0]);
    assert!(refusal("entropy+recency", &observation).contains("calibrated entropies has 1 entries"));
}

#[test]
fn values_that_are_not_finite_are_named() {
    let (good, bad) = ([0.0f32; 3], [0.0, f32::NAN, 0.0]);
    let mut observation = Observation::new(SHAPE).with_rows(Need::Accumulated, [&good, &bad]);
    let message = refusal("uniform+accumulated-attention{pool='max'}", &observation);
    assert!(
        message.contains("accumulated attention of layer 0, query head 1 at index 1 is NaN"),
        "{message}"
    );
    for (value, entropy) in &[(f64::NAN, [1.0, f64::NAN]), (-1.0, [1.0, -1.0])] {
        observation = observation.with_numbers(Need::Entropy, entropy);
        let message = refusal("entropy+recency", &observation);
        assert!(
            message.starts_with(&format!("the entropy of head 1 (counted over all layers) is {value}")),
            "{message}"
        );
    }
}

#[test]
fn scores_that_overflow_are_refused() {
    let huge = [1.0, f32::MAX, 1.0];
    let observation = Observation::new(SHAPE).with_rows(Need::Accumulated, [&huge, &huge]);
    let message = refusal("uniform+accumulated-attention{pool='sum'}", &observation);
    assert!(message.contains("scores position 1 of layer 0, KV head 0 with inf"), "{message}");
}

#[test]
fn impossible_shapes_are_refused() {
    let refused = |shape: Shape, why: &str| {
        let message = refusal("uniform+recency", &Observation::new(shape));
        assert!(message.contains(why), "{message}");
    };
    refused(Shape { tokens: 0, ..SHAPE }, "0 tokens, but each number must be at least 1");
    refused(Shape { kv_heads: 0, ..SHAPE }, "0 KV heads");
    refused(
        Shape { query_heads: 3, kv_heads: 2, ..SHAPE },
        "3 query heads do not divide evenly among 2 KV heads",
    );
    refused(Shape { layers: usize::MAX, ..SHAPE }, "are too many");
    refused(Shape { tokens: 1 << 40, ..SHAPE }, "are too many");
    let empty = [0.0f32; 0];
    let observation = Observation::new(Shape { head_dim: 0, ..SHAPE }).with_rows(Need::Keys, [&empty]);
    assert!(refusal("uniform+key-norm", &observation).contains("head_dim is 0"));
}

#[test]
fn an_odd_head_dim_cannot_be_rotated() {
    let (keys, moments) = ([0.0f32; 9], [0.0f32; 12]);
    let mut observation = Observation::new(Shape { head_dim: 3, ..SHAPE })
        .with_rows(Need::Keys, [&keys])
        .with_rows(Need::Values, [&keys])
        .with_rows(Need::QueryMoments(4), [&moments, &moments]);
    observation.rope_theta = Some(10_000.0);
    let message = refusal("uniform+expected-attention", &observation);
    assert!(
        message.ends_with("query moments are rotated by pairs of channels, but head_dim is 3"),
        "{message}"
    );
}

#[test]
fn errors_can_be_matched() {
    let blind = Observation::new(SHAPE);
    let policy = Policy::parse("uniform+oracle").unwrap();
    assert!(matches!(policy.plan(&blind, Budget::FULL), Err(Error::Unobserved { .. })));
}

#[test]
fn impossible_positions_are_refused() {
    let refused = |positions: Vec<&[u32]>, why: &str| {
        let mut observation = Observation::new(SHAPE);
        observation.positions = positions;
        let message = refusal("uniform+recency", &observation);
        assert!(message.contains(why), "{message}");
    };
    refused(vec![&[]], "layer 0, KV head 0 holds no token");
    refused(vec![&[1, 0]], "positions that do not ascend");
    refused(vec![&[0, 0]], "positions that do not ascend");
    refused(vec![&[0, 3]], "a position after the last token");
    refused(vec![&[0], &[1]], "list of positions has 2 entries");
}

#[test]
fn a_rule_refuses_a_compressed_cache() {
    let mut observation = Observation::new(SHAPE);
    observation.positions = vec![&[0, 2]];
    assert!(refusal("full", &observation).starts_with("policy `full` plans whole caches only"));
}
