//! Reports tensors that are missing, that have a wrong shape, or that nothing reads.

use std::collections::BTreeSet;

use bitkv_checkpoint::Error;

use crate::{
    Examination, Finding,
    finding::{fault, warning},
};

const CHECK: &str = "tensors";
const UNREAD: &str = "unread-tensors";

/// The most tensors that are listed one by one.
const LISTED: usize = 8;

/// Tensors that training code leaves in files or that converters repeat. The model does not need them.
const HARMLESS: [&str; 5] =
    ["inv_freq", "rope_freqs.weight", "lm_head.weight", "output.weight", "position_ids"];

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let mut findings = refused(examination);
    findings.extend(unread(examination));
    findings
}

/// Reports every tensor that a loader would refuse.
fn refused(examination: &Examination<'_>) -> Vec<Finding> {
    let checkpoint = &examination.evidence.checkpoint;
    let mut refusals: Vec<String> = examination.codes.refused.iter().map(Error::to_string).collect();
    let norms = checkpoint.config().all_norms().filter_map(|norm| checkpoint.norm(&norm).err());
    // Another check reports wrong values.
    let dense = [checkpoint.unchecked_embedding().err(), checkpoint.lm_head().err()].into_iter().flatten();
    refusals.extend(checkpoint.check_unused_tensors().err().map(|error| error.to_string()));
    let elsewhere = |error: &Error| matches!(error, Error::NotFinite { .. } | Error::ZeroRows { .. });
    refusals.extend(norms.chain(dense).filter(|error| !elsewhere(error)).map(|error| error.to_string()));
    let more = refusals.len().saturating_sub(LISTED);
    let mut findings: Vec<Finding> = refusals
        .into_iter()
        .take(LISTED)
        .map(|found| {
            let remedy =
                "use a configuration and weights of the same model, and download incomplete files again";
            Finding::new(CHECK, checkpoint.file(), found, fault("the model cannot be loaded", remedy))
        })
        .collect();
    if let Some(last) = findings.last_mut().filter(|_| more > 0) {
        last.found += &format!(" (and {more} more tensors cannot be used)");
    }
    findings
}

/// Reports tensors that nothing reads, such as a bias, without which the model computes something else.
fn unread(examination: &Examination<'_>) -> Option<Finding> {
    let checkpoint = &examination.evidence.checkpoint;
    let mut read = BTreeSet::new();
    for matrix in &examination.codes.matrices {
        read.insert(matrix.name().to_string());
        let stem = matrix.name().trim_end_matches(".weight");
        read.extend(["weight_scale", "scale"].map(|scale| format!("{stem}.{scale}")));
    }
    let norms = checkpoint.config().all_norms().filter_map(|norm| checkpoint.stored_norm(&norm).ok());
    read.extend(norms.map(|norm| norm.name));
    read.extend(checkpoint.unchecked_embedding().ok().map(|embedding| embedding.stored().name.clone()));
    let harmless = |name: &str| HARMLESS.iter().any(|end| name.ends_with(end));
    let unread: Vec<String> = checkpoint
        .tensors()
        .ok()?
        .into_iter()
        .map(|tensor| tensor.name)
        .filter(|name| !read.contains(name) && !harmless(name))
        .collect();
    // The scale of a matrix that was refused is expected to be unread.
    let first = unread.first().filter(|_| examination.codes.refused.is_empty())?;
    let place = format!("{} tensors, the first {first}", unread.len());
    let means = "the model may have another architecture than its configuration says, because biases and further norms \
                 change what it computes";
    let remedy = "compare `architectures` in the configuration with the source of the weights";
    Some(Finding::new(UNREAD, place, "no part of this architecture reads them", warning(means, remedy)))
}
