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
            "these parts of the file never arrived: a truncated or sparse download has the right length and \
             zeros where data is missing, which decode as weights of -1",
            remedy,
        )
    } else {
        warning(
            "parts of the file that never arrived, as in a truncated or sparse download, or dead weights \
             that an f16 could not hold",
            remedy,
        )
    };
    let place = format!("{} of {} linear weights, the first {}", holed.len(), matrices.len(), first.name());
    let found = format!("{empty} of their {size} bytes lie in stretches of nothing but zeros");
    vec![Finding::new(CHECK, place, found, judgement)]
}
