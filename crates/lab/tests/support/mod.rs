//! Two trained models, their tokens, and the policies under test.

#![allow(dead_code, reason = "each test binary uses a part")]

use bitkv_evict::{Error, Need, Needs, Policy, PolicyKind};
use bitkv_lab::registry;
use bitkv_lab::{
    observation::Calibration,
    verification::{Changes, definition},
    window::Window,
};
use bitkv_models::{LoadedModel, suite};

/// A folder of `testdata/models`.
pub(crate) fn frozen(name: &str) -> String {
    format!("{}/../../testdata/models/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The trained models that tests run on: with as many KV heads as query heads, and with fewer.
pub(crate) fn loaded_models() -> Vec<LoadedModel> {
    ["first-mha", "first-gqa"].map(|name| LoadedModel::open(&frozen(name)).unwrap()).into()
}

/// The first tokens of the suite's evaluation text number `index`.
pub(crate) fn window(loaded: &LoadedModel, index: usize, tokens: usize) -> Vec<u32> {
    let texts = suite::texts().unwrap();
    Window::new(loaded, texts.evaluation().nth(index).unwrap(), tokens).unwrap().tokens
}

/// The policies that `verify` compares.
pub(crate) fn policies() -> Vec<Policy> {
    let definition = definition(&Changes::default(), &bitkv_progress::Silent).unwrap();
    definition.experiments[0].policies.iter().map(|spec| Policy::parse(spec).unwrap()).collect()
}

/// What any of `policies` reads.
pub(crate) fn needs(policies: &[Policy]) -> Needs {
    policies.iter().fold(Needs::default(), |needs, policy| needs.union(policy.needs()))
}

/// A profile in which every head differs: rising entropies, in bits.
pub(crate) fn profile(loaded: &LoadedModel) -> Vec<f64> {
    let config = loaded.config();
    let heads = config.num_hidden_layers * config.num_attention_heads;
    (0..heads).map(|i| 0.2 + 4.0 * i as f64 / heads as f64).collect()
}

/// The profile, head scores and a pattern in which every head differs.
pub(crate) fn numbers(loaded: &LoadedModel) -> Calibration {
    let config = loaded.config();
    let profile = profile(loaded);
    let kv_heads = config.num_hidden_layers * config.num_key_value_heads;
    let pattern = (0..kv_heads).map(|i| (i * 7 % kv_heads) as f64 / kv_heads as f64).collect();
    [(Need::Entropy, profile.clone()), (Need::HeadScores, profile), (Need::HeadPattern, pattern)].into()
}

/// Every allocator joined to every scorer that it makes sense with, and every rule and press; windows short enough for
/// contexts of `tokens`.
pub(crate) fn every_policy() -> Vec<Policy> {
    let registry = registry().unwrap();
    let listed = registry.listings();
    let of = |kind| listed.iter().filter(move |l| l.kind == kind).map(|l| l.name);
    let pairs =
        of(PolicyKind::Allocator).flat_map(|a| of(PolicyKind::Scorer).map(move |s| format!("{a}+{s}")));
    let wholes = listed.iter().filter(|l| !matches!(l.kind, PolicyKind::Allocator | PolicyKind::Scorer));
    let specs: Vec<String> = pairs.chain(wholes.map(|l| l.name.to_owned())).collect();
    let parse = |spec: &String| match registry.policy(spec) {
        Err(Error::Meaningless { .. }) => None,
        policy => Some(policy.unwrap()),
    };
    specs.iter().filter_map(parse).collect()
}
