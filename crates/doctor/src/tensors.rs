//! Reports tensors that are missing, that have a wrong shape, or that nothing reads.

use bitkv_checkpoint::{Checkpoint, Error};

use crate::{
    Examination, Finding,
    finding::{fault, fine, warning},
};

const CHECK: &str = "tensors";
const UNREAD: &str = "unread-tensors";

/// The most tensors that are listed one by one.
const LISTED: usize = 8;

/// Tensors that training code leaves in files or that converters repeat. The model does not need them.
const HARMLESS: [&str; 5] =
    ["inv_freq", "rope_freqs.weight", "lm_head.weight", "output.weight", "position_ids"];

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = missing_layers(&examination.evidence.checkpoint).into_iter().collect();
    findings.extend(refused(examination));
    findings.extend(unread(examination));
    findings.extend(full_precision(examination));
    findings
}

/// Reports how many linear layers are in full precision, if any is.
fn full_precision(examination: &Examination<'_>) -> Option<Finding> {
    let (full, ternary) = (examination.codes.full_precision, examination.codes.matrices.len());
    let place = format!("{} linear layers", full + ternary);
    let found = format!("{full} are in full precision, and {ternary} are ternary");
    let means = match ternary {
        0 => "the model is a control: no activation is quantised, and checks of ternary codes do not apply",
        _ => "the checkpoint is mixed: activations are quantised for its ternary layers only",
    };
    (full > 0).then(|| Finding::new("full-precision", place, found, fine(means)))
}

/// Returns the index of the layer that a tensor belongs to, given its name in a folder or a GGUF file; `None`
/// if it belongs to none.
fn layer_index(name: &str) -> Option<usize> {
    let rest = name.strip_prefix("model.layers.").or_else(|| name.strip_prefix("blk."))?;
    rest.split('.').next()?.parse().ok()
}

/// Returns the number of layers for which the files have tensors.
fn stored_layers(checkpoint: &Checkpoint) -> usize {
    let tensors = checkpoint.tensors().unwrap_or_default();
    tensors.iter().filter_map(|tensor| layer_index(&tensor.name)).max().map_or(0, |last| last + 1)
}

/// Reports a configuration that has more layers than the files, as one fault instead of one for each tensor.
fn missing_layers(checkpoint: &Checkpoint) -> Option<Finding> {
    let (stored, asked) = (stored_layers(checkpoint), checkpoint.config().num_hidden_layers);
    let key = if checkpoint.gguf().is_some() { "block_count" } else { "num_hidden_layers" };
    let found = format!("`{key}` is {asked}, and the weights have {stored} layers");
    let means =
        "the model cannot be loaded: the configuration belongs to another model, or some weights are missing";
    let remedy = "use a configuration and weights of the same model, and download incomplete files again";
    (asked > stored).then(|| Finding::new(CHECK, checkpoint.file(), found, fault(means, remedy)))
}

/// Reports every tensor that a loader would refuse, except those of layers that are missing altogether.
fn refused(examination: &Examination<'_>) -> Vec<Finding> {
    let checkpoint = &examination.evidence.checkpoint;
    let stored = stored_layers(checkpoint);
    let is_stored = |name: &str| layer_index(name).is_none_or(|layer| layer < stored);
    let linears = examination.codes.refused.iter().filter(|(name, _)| is_stored(name));
    let mut refusals: Vec<String> = linears.map(|(_, error)| error.to_string()).collect();
    let norms = checkpoint.config().all_norms().filter(|norm| is_stored(&norm.name));
    let norms = norms.filter_map(|norm| checkpoint.norm(&norm).err());
    // Another check reports wrong values.
    let elsewhere = |error: &Error| matches!(error, Error::NotFinite { .. } | Error::ZeroRows { .. });
    let others = [
        checkpoint.unchecked_embedding().err(),
        checkpoint.lm_head().err(),
        checkpoint.check_unused_tensors().err(),
    ];
    let linears = checkpoint.config().all_linears().filter(|linear| is_stored(&linear.name));
    let biases = linears.filter_map(|linear| checkpoint.bias(&linear).err());
    let others = norms.chain(biases).chain(others.into_iter().flatten()).filter(|error| !elsewhere(error));
    refusals.extend(others.map(|error| error.to_string()));
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
    let harmless = |name: &str| HARMLESS.iter().any(|end| name.ends_with(end));
    let unread: Vec<String> =
        checkpoint.ignored_tensors().into_iter().filter(|name| !harmless(name)).collect();
    // The scale of a matrix that was refused is expected to be unread. A tensor that a loader refuses was
    // reported.
    let is_reported = !examination.codes.refused.is_empty() || checkpoint.check_unused_tensors().is_err();
    let first = unread.first().filter(|_| !is_reported)?;
    let place = format!("{} tensors, the first {first}", unread.len());
    let means = "the model may have another architecture than its configuration says, because biases and further norms \
                 change what it computes";
    let remedy = "compare `architectures` in the configuration with the source of the weights";
    Some(Finding::new(UNREAD, place, "no part of this architecture reads them", warning(means, remedy)))
}
