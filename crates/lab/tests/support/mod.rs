//! The two trained models that the tests run on, their tokens, and the policies under test.

#![allow(dead_code, reason = "each test binary uses a part")]

use bitkv_evict::{Error, Need, Needs, Policy, PolicyKind};
use bitkv_lab::registry;
use bitkv_lab::{
    observation::Calibration,
    verification::{Changes, definition},
    window::Window,
};
use bitkv_models::{LoadedModel, suite};

/// Returns the path of a folder in `testdata/models`.
pub(crate) fn frozen(name: &str) -> String {
    format!("{}/../../testdata/models/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns the trained models that tests run on: one with the same number of KV heads and query heads, and
/// one with fewer KV heads.
pub(crate) fn loaded_models() -> Vec<LoadedModel> {
    ["first-mha", "first-gqa"].map(|name| LoadedModel::open(&frozen(name)).unwrap()).into()
}

/// Returns the first tokens of evaluation text number `index` of the suite.
pub(crate) fn window(loaded: &LoadedModel, index: usize, tokens: usize) -> Vec<u32> {
    let texts = suite::texts().unwrap();
    Window::new(loaded, texts.evaluation().nth(index).unwrap(), tokens).unwrap().tokens
}

/// Returns the policies that `verify` compares.
pub(crate) fn policies() -> Vec<Policy> {
    let definition = definition(&Changes::default(), &bitkv_progress::Silent).unwrap();
    definition.experiments[0].policies.iter().map(|spec| Policy::parse(spec).unwrap()).collect()
}

/// Returns the union of the needs of `policies`.
pub(crate) fn needs(policies: &[Policy]) -> Needs {
    policies.iter().fold(Needs::default(), |needs, policy| needs.union(policy.needs()))
}

/// Returns a profile in which every head differs: rising entropies in bits, `[layers * query_heads]`.
pub(crate) fn profile(loaded: &LoadedModel) -> Vec<f64> {
    let config = loaded.config();
    let heads = config.num_hidden_layers * config.num_attention_heads;
    (0..heads).map(|i| 0.2 + 4.0 * i as f64 / heads as f64).collect()
}

/// Entropies, head scores and a head pattern in which every head differs.
pub(crate) fn calibration(loaded: &LoadedModel) -> Calibration {
    let config = loaded.config();
    let profile = profile(loaded);
    let kv_heads = config.num_hidden_layers * config.num_key_value_heads;
    let pattern = (0..kv_heads).map(|i| (i * 7 % kv_heads) as f64 / kv_heads as f64).collect();
    [(Need::Entropy, profile.clone()), (Need::HeadScores, profile), (Need::HeadPattern, pattern)].into()
}

/// Returns every meaningful combination of an allocator and a scorer, and every rule and press.
pub(crate) fn every_policy() -> Vec<Policy> {
    let registry = registry().unwrap();
    let listed = registry.listings();
    let names = |kind| listed.iter().filter(move |l| l.kind == kind).map(|l| l.name);
    let pairs =
        names(PolicyKind::Allocator).flat_map(|a| names(PolicyKind::Scorer).map(move |s| format!("{a}+{s}")));
    let wholes = listed.iter().filter(|l| !matches!(l.kind, PolicyKind::Allocator | PolicyKind::Scorer));
    let specs: Vec<String> = pairs.chain(wholes.map(|l| l.name.to_owned())).collect();
    let parse = |spec: &String| match registry.policy(spec) {
        Err(Error::Meaningless { .. }) => None,
        policy => Some(policy.unwrap()),
    };
    specs.iter().filter_map(parse).collect()
}
