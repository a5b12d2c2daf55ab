//! Checks whether f16 could hold the values that the forward pass computes, and whether they are finite.

use bitkv_bitnet::{Step, StepNorms};

use crate::{
    Error, Examination, Finding,
    finding::{fault, fine, note, short, warning},
    run::TextRun,
};

const CHECK: &str = "f16-overflow";
const FINITE: &str = "activations-finite";
const CACHE: &str = "cache-overflow";

/// The largest finite f16.
const LARGEST: f32 = 65504.0;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let run = match &examination.run {
        Ok(run) => run,
        Err(Error::BitNet(error @ bitkv_bitnet::Error::NotFinite { .. })) => return vec![not_finite(error)],
        Err(_) => return Vec::new(),
    };
    let mut findings = Vec::from_iter(cache_overflow(run));
    let largest = |step: Step| {
        let steps = run.steps.iter().filter(move |norms| norms.step == step);
        steps.max_by(|a, b| a.largest.total_cmp(&b.largest))
    };
    let (Some(product), Some(residual)) = (largest(Step::Activation), largest(Step::Output)) else {
        return findings;
    };
    let judgement = if product.largest.max(residual.largest) > LARGEST {
        note(
            "an engine that computes the feed-forward layer or the residual stream in f16 gets infinities and NaN; bitkv \
             computes in f32",
            "never run this model with f16 activations; use f32 or bf16",
        )
    } else {
        fine("f16 can hold these values")
    };
    let found = format!(
        "act(gate) * up reaches {} ({}), and the residual stream reaches {} ({}); the largest f16 is {LARGEST}",
        short(product.largest.into()),
        product.name(),
        short(residual.largest.into()),
        residual.name()
    );
    findings.push(Finding::new(CHECK, format!("activations on the text {}", run.text), found, judgement));
    findings
}

/// Returns the finding that an f16 cache cannot hold the keys or values of the text, if it cannot.
fn cache_overflow(run: &TextRun) -> Option<Finding> {
    let stored = |norms: &&StepNorms| matches!(norms.step, Step::K | Step::V) && norms.largest > LARGEST;
    let first = run.steps.iter().find(stored)?;
    let found = format!("keys or values reach {}; the largest f16 is {LARGEST}", short(first.largest.into()));
    let means = "an f16 cache, which bitkv and other programs use, cannot hold them";
    let judgement = warning(means, "store keys and values in f32, such as with `generate --kv f32`");
    Some(Finding::new(CACHE, first.name(), found, judgement))
}

/// Returns the finding that a number is not finite.
fn not_finite(error: &bitkv_bitnet::Error) -> Finding {
    let means = "a weight or a scale before this step is far too large, so f32 overflows";
    let remedy = "read the other findings about weights and scales, and download the model again";
    Finding::new(FINITE, "the model on a text", error.to_string(), fault(means, remedy))
}
