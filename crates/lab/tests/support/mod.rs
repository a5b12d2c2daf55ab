//! The built-in model, its tokens, and the policies under test.

#![allow(dead_code, reason = "each test binary uses a part")]

use bitkv_evict::{Needs, Policy};
use bitkv_lab::{Subject, built_in, suite, verify::POLICIES, window::Window};

/// Every built-in model.
pub(crate) fn subjects() -> Vec<Subject> {
    let names = built_in();
    assert!(!names.is_empty(), "nothing is built in");
    names.into_iter().map(|name| Subject::open(name).unwrap()).collect()
}

/// The first tokens of the suite's evaluation text number `index`.
pub(crate) fn window(subject: &Subject, index: usize, tokens: usize) -> Vec<u32> {
    let texts = suite::texts().unwrap();
    Window::of(subject, texts.evaluation().nth(index).unwrap(), tokens).unwrap().tokens
}

/// The policies that `verify` compares.
pub(crate) fn policies() -> Vec<Policy> {
    POLICIES.iter().map(|spec| Policy::parse(spec).unwrap()).collect()
}

/// What any of `policies` reads.
pub(crate) fn needs(policies: &[Policy]) -> Needs {
    policies.iter().fold(Needs::default(), |needs, policy| needs.union(policy.needs()))
}

/// A profile in which every head differs: rising entropies, in bits.
pub(crate) fn profile(subject: &Subject) -> Vec<f64> {
    let config = subject.config();
    let heads = config.num_hidden_layers * config.num_attention_heads;
    (0..heads).map(|i| 0.2 + 4.0 * i as f64 / heads as f64).collect()
}
