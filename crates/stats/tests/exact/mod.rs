//! Entropy, divergence and likelihood with 128 binary digits, and rows of extreme logits.

use dashu_float::{FBig, round::mode::HalfEven};
use proptest::prelude::*;

type Exact = FBig<HalfEven, 2>;

/// The number of binary digits.
const DIGITS: usize = 128;

fn exact(value: f64) -> Exact {
    Exact::try_from(value).unwrap().with_precision(DIGITS).value()
}

/// Returns the logarithms of the probabilities.
fn log_probabilities(logits: &[f32]) -> Vec<Exact> {
    let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let above = |logit: &f32| exact(f64::from(*logit)) - exact(f64::from(peak));
    let sum = logits.iter().map(|logit| above(logit).exp()).fold(exact(0.0), |sum, term| sum + term);
    let log_sum = sum.ln();
    logits.iter().map(|logit| above(logit) - &log_sum).collect()
}

/// Returns the negative log-likelihood of a class, in nats.
pub(crate) fn nll(logits: &[f32], target: usize) -> f64 {
    -log_probabilities(logits)[target].to_f64().value()
}

/// Returns the divergence of softmax(`other`) from softmax(`reference`), in nats.
pub(crate) fn kl(reference: &[f32], other: &[f32]) -> f64 {
    let pairs = log_probabilities(reference).into_iter().zip(log_probabilities(other));
    pairs.map(|(p, q)| p.exp() * (p - q)).fold(exact(0.0), |sum, term| sum + term).to_f64().value()
}

/// Returns the entropy of a row of probabilities, in bits. Terms up to 1e-10 count as nothing, as published.
#[allow(dead_code, reason = "only one of the tests has rows of probabilities")]
pub(crate) fn entropy(row: &[f32]) -> f64 {
    let terms = row.iter().map(|p| f64::from(*p)).filter(|p| *p > 1e-10).map(exact);
    let nats = terms.map(|p| p.ln() * p).fold(exact(0.0), |sum, term| sum + term);
    -(nats / exact(2.0).ln()).to_f64().value()
}

/// A logit that is large, tiny, subnormal or ordinary.
fn logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        Just(0.0f32),
        Just(-0.0f32),
        Just(1e4f32),
        Just(-1e4f32),
        Just(f32::MIN_POSITIVE),
        Just(1e-45f32),
        Just(-3e-41f32),
        -20.0f32..20.0,
        -1e4f32..1e4,
        -1e-30f32..1e-30,
    ]
}

/// Rows of extreme logits: one class far above the others, all equal, all near each other at a large value,
/// and mixtures.
pub(crate) fn extreme_row(classes: usize) -> impl Strategy<Value = Vec<f32>> {
    let one_hot = (0..classes, logit(), logit()).prop_map(move |(hot, low, high)| {
        let mut row = vec![low; classes];
        row[hot] = high;
        row
    });
    prop_oneof![
        one_hot,
        logit().prop_map(move |value| vec![value; classes]),
        prop::collection::vec((9_999.0f32..1e4).prop_map(|z| z), classes),
        prop::collection::vec(logit(), classes),
    ]
}

/// Whether a value has a relative error of at most 1e-11, or an absolute one of 1e-11 times the scale.
pub(crate) fn is_close(value: f64, exact: f64, scale: f64) -> bool {
    (value - exact).abs() <= 1e-11 * exact.abs().max(scale)
}
