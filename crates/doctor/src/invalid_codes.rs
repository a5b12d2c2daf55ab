//! Finds code 3, which is not the code of a ternary weight.

use crate::{
    Examination, Finding,
    codes::Matrix,
    finding::{fault, if_changed},
};

const CHECK: &str = "invalid-code";

/// If at least this fraction of the codes is 3, the bytes are taken for something other than codes. In random
/// bytes every fourth code is 3.
const FOREIGN: f64 = 0.05;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let matrices = &examination.codes.matrices;
    let bad: Vec<&Matrix> = matrices.iter().filter(|matrix| matrix.counts[3] > 0).collect();
    let Some(first) = bad.first() else { return Vec::new() };
    let (invalid, all) =
        bad.iter().fold((0, 0), |(invalid, all), matrix| (invalid + matrix.counts[3], all + matrix.len()));
    let (row, column) = position(first);
    let file = &first.linear.stored().file;
    let judgement = if invalid as f64 > FOREIGN * all as f64 {
        fault(
            "these bytes are not two-bit codes of this layout: they hold something other than their type says",
            format!("convert the model again from its source; {file} cannot be repaired"),
        )
    } else {
        fault(
            "bytes were changed after the weights were packed, because packing writes only the codes 00, 01 and 10",
            if_changed(file),
        )
    };
    let place = format!("{} of {} linear weights, the first {}", bad.len(), matrices.len(), first.name());
    let found = format!("{invalid} of {all} codes are 3, the first in row {row}, column {column}");
    vec![Finding::new(CHECK, place, found, judgement)]
}

/// Returns the row and the column of the first code 3.
fn position(matrix: &Matrix) -> (usize, usize) {
    let shape = matrix.linear.shape();
    let mut codes = vec![0; shape.cols];
    let column = |row: usize, codes: &mut Vec<u8>| {
        matrix.linear.codes(row, codes);
        codes.iter().position(|code| *code == 3)
    };
    (0..shape.rows)
        .find_map(|row| column(row, &mut codes).map(|column| (row, column)))
        .expect("the histogram counted at least one")
}
