//! Checks that code 1 is decoded as zero.
//!
//! Some engines use a decode map in which another two-bit code is zero. [`CodeBalance`] finds the code that
//! is zero.

use crate::{
    Examination, Finding,
    codes::Matrix,
    finding::{Judgement, fault, fine, note, warning},
    map::{CodeBalance, ZERO},
};

const CHECK: &str = "decode-map";

/// A single matrix is suspected only if the absolute value of its mean exceeds this, in units of its
/// multiplier. Trained matrices stay below 0.02.
const LARGE_MEAN: f64 = 0.05;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let undamaged = examination.codes.undamaged();
    if undamaged.is_empty() {
        return Vec::new();
    }
    let place = format!("all {} linear weights", undamaged.len());
    let mut findings = vec![Finding::new(CHECK, place, frequencies(&undamaged), judge(&examination.balance))];
    if examination.balance.zero_code() == ZERO {
        findings.extend(exceptions(&undamaged));
    }
    findings
}

fn judge(balance: &CodeBalance) -> Judgement {
    match (balance.zero_code(), balance.is_decisive()) {
        (0, _) => fault(
            "+1 and -1 are equally frequent only if code 0 means zero, so the weights were packed with the map \
             00=0, 01=+1, 10=-1 (or with its signs exchanged, which a histogram cannot show)",
            "pack the weights again; the code of a weight is its value plus one: 00=-1, 01=0, 10=+1",
        ),
        (2, _) => fault(
            "+1 and -1 are equally frequent only if code 2 means zero, so the original was decoded with the map \
             00=0, 01=+1, 10=-1, which turns every -1 into 0, 0 into +1 and +1 into -1, and the result was written \
             (or with its signs exchanged, which a histogram cannot show)",
            "decode the original file again with 00=-1, 01=0, 10=+1",
        ),
        (_, true) => fine(
            "+1 and -1 are equally frequent and the number of zeros differs, as after training, so the decode map is \
             right",
        ),
        _ => note(
            "all three codes are about equally frequent, so their numbers cannot show whether the decode map is wrong",
            "compare the codes with the master weights, if you have them: --masters MODEL",
        ),
    }
}

/// Finds single matrices with another decode map than the rest, for example because two converters wrote
/// parts of the checkpoint.
fn exceptions(undamaged: &[&Matrix]) -> Option<Finding> {
    let is_odd = |matrix: &&&Matrix| {
        CodeBalance::new(&[matrix]).zero_code() != ZERO && mean(&[matrix]).abs() > LARGE_MEAN
    };
    let odd: Vec<&Matrix> = undamaged.iter().filter(is_odd).copied().collect();
    let first = odd.first()?;
    Some(Finding::new(
        CHECK,
        format!("{} of {} linear weights, the first {}", odd.len(), undamaged.len(), first.name()),
        frequencies(&odd),
        warning(
            "unlike in the other matrices, +1 and -1 are equally frequent only if a code other than 1 means zero",
            "compare with the master weights (--masters MODEL), or convert these tensors again",
        ),
    ))
}

/// Returns the mean of the weights, which are their codes minus one.
fn mean(matrices: &[&Matrix]) -> f64 {
    let (plus, minus) = (total(matrices, 2) as f64, total(matrices, 0) as f64);
    (plus - minus) / matrices.iter().map(|matrix| matrix.len()).sum::<u64>() as f64
}

fn total(matrices: &[&Matrix], code: usize) -> u64 {
    matrices.iter().map(|matrix| matrix.counts[code]).sum()
}

fn frequencies(matrices: &[&Matrix]) -> String {
    let all: u64 = (0..4).map(|code| total(matrices, code)).sum();
    let percent = |code| 100.0 * total(matrices, code) as f64 / all as f64;
    format!(
        "decoded as 00=-1, 01=0, 10=+1, {:.2} % of the weights are -1, {:.2} % are 0 and {:.2} % are +1; their mean is \
         {:+.4}",
        percent(0),
        percent(1),
        percent(2),
        mean(matrices)
    )
}
