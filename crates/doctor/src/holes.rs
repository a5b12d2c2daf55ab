//! Finds blocks of zero bytes in linear weights: parts of a file that were never downloaded.

use crate::{
    Examination, Finding,
    codes::Matrix,
    finding::{fault, if_incomplete, warning},
};

const CHECK: &str = "weight-holes";

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let matrices = &examination.codes.matrices;
    let holed: Vec<&Matrix> = matrices.iter().filter(|matrix| matrix.has_hole()).collect();
    let Some(first) = holed.first() else { return Vec::new() };
    let (empty, size) = holed.iter().fold((0, 0), |(empty, size), matrix| {
        (empty + matrix.empty_bytes, size + matrix.linear.bytes().len())
    });
    let stored = first.linear.stored();
    let remedy = if_incomplete(&stored.file);
    let judgement = if stored.coding.is_ternary() {
        fault(
            "these parts of the file never arrived: after a truncated or sparse download, the file has the right length, \
             but zeros where data is missing, and zeros decode as weights of -1",
            remedy,
        )
    } else {
        warning(
            "these parts of the file never arrived because the download was truncated or sparse, or the weights are so \
             small that f16 rounds them to zero",
            remedy,
        )
    };
    let place = format!("{} of {} linear weights, the first {}", holed.len(), matrices.len(), first.name());
    let found = format!("{empty} of their {size} bytes are in blocks that contain only zeros");
    vec![Finding::new(CHECK, place, found, judgement)]
}
