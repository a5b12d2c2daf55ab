//! Checks whether f16 could hold the values that the forward pass computes, and whether they are finite.

use bitkv_bitnet::{Step, StepNorms};

use crate::{
    Examination, Finding,
    finding::{fault, fine, note, short},
};

const CHECK: &str = "f16-overflow";
const FINITE: &str = "activations-finite";

/// The largest finite f16.
const LARGEST: f32 = 65504.0;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let Ok(run) = &examination.run else { return Vec::new() };
    let mut findings: Vec<Finding> = not_finite(&run.steps).into_iter().collect();
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

fn not_finite(steps: &[StepNorms]) -> Option<Finding> {
    let first = steps.iter().find(|norms| norms.not_finite > 0)?;
    let found = format!("{} values are infinite or NaN; this is the first such step", first.not_finite);
    let means = "a weight or a scale before this step is far too large, so f32 overflows";
    let remedy = "read the other findings about weights and scales, and download the model again";
    Some(Finding::new(FINITE, first.name(), found, fault(means, remedy)))
}
