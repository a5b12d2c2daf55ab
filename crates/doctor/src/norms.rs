//! Checks the norms: values that are not finite, dead norms, holes, and features that only look like faults.

use bitkv_checkpoint::{Checkpoint, NormShape};

use crate::{
    Examination, Finding,
    finding::{fault, fine, if_changed, if_incomplete, note, warning},
};

const FINITE: &str = "norm-finite";
const DEAD: &str = "norm-dead";
const HOLES: &str = "norm-holes";
const CHANNELS: &str = "dead-channels";
const NEGATIVE: &str = "negative-norms";

/// A smaller weight switches its channel off. BitNet-b1.58-2B-4T has weights around 1e-32.
const TINY: f32 = 1e-20;

/// The largest fraction of exact zeros that training may leave in a norm. Weights that training switches off
/// are tiny, but not zero.
const MAX_ZEROS: f64 = 0.01;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let checkpoint = &examination.evidence.checkpoint;
    let mut findings = Vec::new();
    let mut weights = Vec::new();
    for shape in checkpoint.config().all_norms() {
        findings.extend(not_finite(checkpoint, &shape));
        // The check of tensors reports a missing norm.
        if let Ok(norm) = checkpoint.norm(&shape) {
            findings.extend(zeros(&shape, &norm, &checkpoint.file()));
            weights.push((shape, norm));
        }
    }
    findings.extend(channels(&weights));
    findings.extend(negative(&weights));
    findings
}

fn not_finite(checkpoint: &Checkpoint, shape: &NormShape) -> Option<Finding> {
    let stored = checkpoint.stored_norm(shape).ok()?;
    let index = stored.first_not_finite()?;
    let found = format!("the weight of channel {index} is infinite or NaN");
    let judgement = fault("the hidden state of every token becomes NaN", if_changed(&stored.file));
    Some(Finding::new(FINITE, &shape.name, found, judgement))
}

fn zeros(shape: &NormShape, norm: &[f32], file: &str) -> Option<Finding> {
    let zeros = norm.iter().filter(|w| **w == 0.0).count();
    let dead = norm.iter().all(|w| w.abs() < TINY);
    if !dead && zeros as f64 <= MAX_ZEROS * norm.len() as f64 {
        return None;
    }
    let found = format!("{zeros} of {} weights are exactly zero", norm.len());
    let remedy = if_incomplete(file);
    let (check, judgement) = if dead {
        let means = "the layer after this norm gets no input, because the download was truncated or sparse";
        (DEAD, fault(means, remedy))
    } else {
        let means = "the file has a hole, or f16 has rounded tiny weights to zero; after training, such weights are \
                     about 1e-32";
        (HOLES, warning(means, remedy))
    };
    Some(Finding::new(check, &shape.name, found, judgement))
}

/// Reports channels that training has switched off.
fn channels(norms: &[(NormShape, Vec<f32>)]) -> Option<Finding> {
    let tiny = |w: &&f32| **w != 0.0 && w.abs() < TINY;
    let (place, weights) = count(norms, tiny)?;
    let found = format!("{weights} weights are smaller than {TINY:e}, but not zero");
    let means = "training has switched these channels off (BitNet-b1.58-2B-4T has such channels in every deep layer); \
                 they contribute nothing, but the file is not damaged";
    let remedy =
        "nothing needs to be done; do not store norms as f16, which would round these weights to zero";
    Some(Finding::new(CHANNELS, place, found, note(means, remedy)))
}

/// Reports weights that training has made negative.
fn negative(norms: &[(NormShape, Vec<f32>)]) -> Option<Finding> {
    let (place, weights) = count(norms, |w| **w < 0.0)?;
    let means =
        "training has learnt these signs (BitNet-b1.58-2B-4T has them in late layers), so there is no damage";
    Some(Finding::new(NEGATIVE, place, format!("{weights} weights are negative"), fine(means)))
}

/// Names the norms with weights that match `is_counted`, and returns how many such weights there are; `None`
/// if there are no such weights.
fn count(norms: &[(NormShape, Vec<f32>)], is_counted: impl Fn(&&f32) -> bool) -> Option<(String, usize)> {
    let counts = norms.iter().map(|(shape, norm)| (shape, norm.iter().filter(&is_counted).count()));
    let affected: Vec<_> = counts.filter(|(_, weights)| *weights > 0).collect();
    let (first, _) = affected.first()?;
    let place = format!("{} of {} norms, the first {}", affected.len(), norms.len(), first.name);
    Some((place, affected.iter().map(|(_, weights)| weights).sum()))
}
