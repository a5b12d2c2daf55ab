//! Runs the cases of `testdata/plans.toml`, and checks that every listed method has one.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bitkv_evict::{Budget, Need, Observation, Policy, Registry, Shape};
use serde::Deserialize;

type Rows = Vec<Vec<f32>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    plan: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Case {
    name: String,
    shape: Extent,
    policy: String,
    budget: f64,
    /// The positions that each KV head holds; empty if every head holds every token.
    #[serde(default)]
    positions: Vec<Vec<u32>>,
    #[serde(default)]
    keys: Rows,
    #[serde(default)]
    values: Rows,
    #[serde(default)]
    accumulated: Rows,
    #[serde(default)]
    windows: BTreeMap<String, Rows>,
    #[serde(default)]
    window_rows: BTreeMap<String, Rows>,
    #[serde(default)]
    window_queries: BTreeMap<String, Rows>,
    #[serde(default)]
    query_moments: BTreeMap<String, Rows>,
    #[serde(default)]
    reconstruction: Rows,
    #[serde(default)]
    output_norms: Rows,
    #[serde(default)]
    sub_norm_output_norms: Rows,
    #[serde(default)]
    future: Rows,
    #[serde(default)]
    entropy: Vec<f64>,
    #[serde(default)]
    residual_similarity: Vec<f64>,
    #[serde(default)]
    head_scores: Vec<f64>,
    #[serde(default)]
    head_pattern: Vec<f64>,
    rope_theta: Option<f64>,
    keep: Vec<Vec<u32>>,
    query_keep: Option<Vec<Vec<u32>>>,
    asked: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Extent {
    layers: usize,
    query_heads: usize,
    kv_heads: usize,
    tokens: usize,
    #[serde(default)]
    head_dim: usize,
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/plans.toml");
    toml::from_str::<File>(&std::fs::read_to_string(path).unwrap()).unwrap().plan
}

fn observation(case: &Case) -> Observation<'_> {
    let Extent { layers, query_heads, kv_heads, tokens, head_dim } = case.shape;
    let mut observation = Observation::new(Shape { layers, query_heads, kv_heads, tokens, head_dim });
    observation.positions = case.positions.iter().map(Vec::as_slice).collect();
    observation.rope_theta = case.rope_theta;
    let rows = [
        (Need::Keys, &case.keys),
        (Need::Values, &case.values),
        (Need::Accumulated, &case.accumulated),
        (Need::Reconstruction, &case.reconstruction),
        (Need::OutputNorms, &case.output_norms),
        (Need::SubNormOutputNorms, &case.sub_norm_output_norms),
        (Need::Future, &case.future),
    ];
    let windows = [
        (Need::Window as fn(usize) -> Need, &case.windows),
        (Need::WindowRows, &case.window_rows),
        (Need::WindowQueries, &case.window_queries),
        (Need::QueryMoments, &case.query_moments),
    ];
    let windows = windows.into_iter().flat_map(|(need, by_count)| {
        by_count.iter().map(move |(count, rows)| (need(count.parse().unwrap()), rows))
    });
    let observation = rows
        .into_iter()
        .chain(windows)
        .fold(observation, |observation, (need, rows)| observation.with_rows(need, rows));
    observation
        .with_numbers(Need::Entropy, &case.entropy)
        .with_numbers(Need::ResidualSimilarity, &case.residual_similarity)
        .with_numbers(Need::HeadScores, &case.head_scores)
        .with_numbers(Need::HeadPattern, &case.head_pattern)
}

#[test]
fn plans_equal_those_worked_by_hand() {
    for case in cases() {
        let policy = Policy::parse(&case.policy).unwrap();
        let observation = observation(&case);
        let plan = policy.plan(&observation, Budget::fraction(case.budget).unwrap()).unwrap();
        let Shape { layers, query_heads, kv_heads, .. } = observation.shape;
        let got: Vec<_> = (0..layers * kv_heads).map(|i| plan.kept(i / kv_heads, i % kv_heads)).collect();
        assert_eq!(got, case.keep, "{}", case.name);

        let group = query_heads / kv_heads;
        let expected = case
            .query_keep
            .unwrap_or_else(|| (0..layers * query_heads).map(|i| case.keep[i / group].clone()).collect());
        let got: Vec<_> =
            (0..layers * query_heads).map(|i| plan.query_kept(i / query_heads, i % query_heads)).collect();
        assert_eq!(got, expected, "{}", case.name);
        assert_eq!(plan.asked(), case.asked.unwrap_or(plan.total()), "{}", case.name);
    }
}

#[test]
fn every_method_has_a_case() {
    let used: BTreeSet<String> = cases()
        .iter()
        .flat_map(|case| {
            case.policy.split('+').map(|part| part.split('{').next().unwrap().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    for method in Registry::standard().listings() {
        assert!(used.contains(method.name), "testdata/plans.toml has no case for `{}`", method.name);
    }
}

#[test]
fn case_names_are_unique() {
    let names: BTreeSet<String> = cases().into_iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases().len());
}
