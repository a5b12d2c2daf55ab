//! Checks whether scales are applied in the direction that the model was trained with, by running it on a
//! text in both directions.
//!
//! The magnitudes of scales do not show the direction: if the master weights are of order one, so are the
//! scale and its reciprocal. The model predicts a text better in the direction it was trained with.

use crate::{
    Examination, Finding, Severity,
    finding::{Judgement, fine, note},
    masters,
    run::TextRun,
};

const CHECK: &str = "scale-direction";

/// One direction is better only if it wins by this many standard errors of the mean difference, and by
/// [`BITS`].
const CLEAR: f64 = 3.0;
/// The least difference between the directions, in bits per token.
const BITS: f64 = 0.1;

/// If the model needs at least this fraction of the bits of guessing, the configured direction counts as
/// broken.
const BROKEN: f64 = 0.9;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let checkpoint = &examination.evidence.checkpoint;
    let Ok(present) = &examination.run else { return Vec::new() };
    let has_scales =
        examination.codes.matrices.iter().any(|matrix| matrix.linear.stored().coding.is_ternary());
    // Scales that are computed from master weights have no other direction.
    if !has_scales {
        return Vec::new();
    }
    let reciprocal = checkpoint.with_reciprocal_scales();
    let Ok(other) = TextRun::new(&reciprocal, &examination.evidence.tokenizer) else { return Vec::new() };
    let uniform = (checkpoint.config().vocab_size as f64).log2();
    // If both directions are worse than guessing, the model was trained with neither.
    let trained = other.mean_bits() < uniform;
    let judgement = if trained && is_better(&other.bits, &present.bits) {
        Judgement::new(
            if present.mean_bits() >= BROKEN * uniform { Severity::Fault } else { Severity::Warning },
            "the scales are applied in the wrong direction, because the text is far likelier in the other",
            masters::remedy(checkpoint),
        )
    } else if is_better(&present.bits, &other.bits) {
        fine("the configured direction is that of training")
    } else {
        note(
            "the text does not show the direction: it is about equally likely in both, as with scales near one, or the \
             model predicts it badly in both",
            "compare with the master weights, if you have them: --masters MODEL",
        )
    };
    let place = format!("the weight scales, on the text {}", present.text);
    let (now, reciprocal) = (present.mean_bits(), other.mean_bits());
    let found =
        format!("a token costs {now:.2} bits as configured, and {reciprocal:.2} bits with reciprocal scales");
    vec![Finding::new(CHECK, place, found, judgement)]
}

/// Returns whether `bits` are clearly less than `than`.
fn is_better(bits: &[f64], than: &[f64]) -> bool {
    let gains: Vec<f64> = bits.iter().zip(than).map(|(a, b)| b - a).collect();
    let count = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / count;
    let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    // NaN makes this false too.
    mean >= BITS && mean >= CLEAR * (variance / count).sqrt()
}
