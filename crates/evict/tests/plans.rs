//! Runs `testdata/plans.toml`, and checks that no listed method lacks a case.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bitkv_evict::{Budget, Observation, Policy, Shape, registry};
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
    #[serde(default)]
    keys: Rows,
    #[serde(default)]
    accumulated: Rows,
    #[serde(default)]
    windows: BTreeMap<String, Rows>,
    #[serde(default)]
    future: Rows,
    #[serde(default)]
    entropy: Vec<f64>,
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

fn rows(rows: &Rows) -> Vec<&[f32]> {
    rows.iter().map(Vec::as_slice).collect()
}

fn observation(case: &Case) -> Observation<'_> {
    let Extent { layers, query_heads, kv_heads, tokens, head_dim } = case.shape;
    Observation {
        shape: Shape { layers, query_heads, kv_heads, tokens, head_dim },
        keys: rows(&case.keys),
        accumulated: rows(&case.accumulated),
        windows: case.windows.iter().map(|(w, r)| (w.parse().unwrap(), rows(r))).collect(),
        future: rows(&case.future),
        entropy: &case.entropy,
    }
}

#[test]
fn plans_are_as_worked_by_hand() {
    for case in cases() {
        let policy = Policy::parse(&case.policy).unwrap();
        let seen = observation(&case);
        let plan = policy.plan(&seen, Budget::fraction(case.budget).unwrap()).unwrap();
        let Shape { layers, query_heads, kv_heads, .. } = seen.shape;
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
    for method in registry() {
        assert!(used.contains(method.name), "testdata/plans.toml has no case for `{}`", method.name);
    }
}

#[test]
fn cases_have_names_of_their_own() {
    let names: BTreeSet<String> = cases().into_iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases().len());
}
