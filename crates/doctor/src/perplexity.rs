//! Checks whether the model predicts text better than guessing.

use crate::{
    Examination, Finding,
    finding::{fault, fine, short, warning},
};

const CHECK: &str = "perplexity";

/// A model that needs at least this fraction of the bits of guessing is hardly better than guessing.
const POOR: f64 = 0.8;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let Ok(run) = &examination.run else { return Vec::new() };
    let uniform = (examination.evidence.checkpoint.config().vocab_size as f64).log2();
    let bits = run.mean_bits();
    let judgement = if !bits.is_finite() {
        fault(
            "the logits are NaN, so a weight is infinite or far too large",
            "read the other findings; if there is no other, download the model again",
        )
    } else if bits >= uniform {
        fault(
            "guessing would do better, so the weights are not the trained ones, or they are decoded wrongly",
            "read the other findings; if there is no other, compare with the master weights: --masters MODEL",
        )
    } else if bits >= POOR * uniform {
        warning(
            "the model is hardly better than guessing, so the weights may be decoded wrongly, or the model was trained \
             on other texts",
            "compare with the master weights: --masters MODEL",
        )
    } else {
        fine("the model predicts text as a trained model does")
    };
    let place = format!("the first {} tokens of the text {}", run.bits.len() + 1, run.text);
    let found = format!(
        "a token costs {bits:.2} bits, which is a perplexity of {}; guessing costs log2(vocabulary) = {uniform:.2} bits",
        short(bits.exp2())
    );
    vec![Finding::new(CHECK, place, found, judgement)]
}
