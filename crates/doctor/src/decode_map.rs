//! Checks that code 1 is decoded as zero.
//!
//! Some engines use a decode map in which another two-bit code is zero. [`CodeBalance`] finds the code that
//! is zero.

use crate::{
    Examination, Finding,
    codes::Matrix,
    finding::{Judgement, fault, fine, note, warning},
    map::{Verdict, ZERO},
};

const CHECK: &str = "decode-map";

/// A single matrix is suspected only if the absolute value of its mean exceeds this, in units of its
/// multiplier. Trained matrices stay below 0.02.
const LARGE_MEAN: f64 = 0.05;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let sound = examination.codes.sound();
    if sound.is_empty() {
        return Vec::new();
    }
    let place = format!("all {} linear weights", sound.len());
    let mut findings = vec![Finding::new(CHECK, place, frequencies(&sound), judge(&examination.map))];
    if examination.map.zero() == ZERO {
        findings.extend(single(&sound));
    }
    findings
}

fn judge(map: &Verdict) -> Judgement {
    match (map.zero(), map.decides()) {
        (0, _) => fault(
            "the numbers of +1 and -1 are balanced only if code 0 stands for zero: the weights were packed with the \
             map 00=0, 01=+1, 10=-1 (or with its signs exchanged, which a histogram does not tell)",
            "pack the weights again with the code of a weight being its value plus one: 00=-1, 01=0, 10=+1",
        ),
        (2, _) => fault(
            "the numbers of +1 and -1 are balanced only if code 2 stands for zero: the original was decoded with the \
             map 00=0, 01=+1, 10=-1, which turns every -1 into 0, 0 into +1 and +1 into -1, and then written \
             (or with its signs exchanged, which a histogram does not tell)",
            "go back to the original file and decode it with 00=-1, 01=0, 10=+1",
        ),
        (_, true) => fine(
            "+1 and -1 are balanced and zeros are another number, as training leaves them: the decode map is right",
        ),
        _ => note(
            "all three codes are about equally frequent, so that these numbers cannot tell a wrong decode map",
            "compare with the masters, if there are some: --masters",
        ),
    }
}

/// Matrices that one of several converters may have written.
fn single(sound: &[&Matrix]) -> Option<Finding> {
    let odd =
        |matrix: &&&Matrix| Verdict::new(&[matrix]).zero() != ZERO && mean(&[matrix]).abs() > LARGE_MEAN;
    let odd: Vec<&Matrix> = sound.iter().filter(odd).copied().collect();
    let first = odd.first()?;
    Some(Finding::new(
        CHECK,
        format!("{} of {} linear weights, the first {}", odd.len(), sound.len(), first.name()),
        frequencies(&odd),
        warning(
            "unlike in the others, +1 and -1 are balanced only if another code than 1 stands for zero",
            "compare with the masters (--masters), or convert these tensors again",
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
        "decoded as 00=-1, 01=0, 10=+1, {:.2} % of the weights are -1, {:.2} % are 0 and {:.2} % are +1: a mean of {:+.4}",
        percent(0),
        percent(1),
        percent(2),
        mean(matrices)
    )
}
