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
            "the logits are no numbers: some weight is infinite or far too large",
            "see the other findings; if there are none, download the model again",
        )
    } else if bits >= uniform {
        fault(
            "guessing would do better: the weights are not those that were trained, or they are decoded wrongly",
            "see the other findings; if there are none, compare with the masters: --masters",
        )
    } else if bits >= POOR * uniform {
        warning(
            "hardly better than guessing: the weights may be decoded wrongly, or were trained on other texts",
            "compare with the masters: --masters",
        )
    } else {
        fine("the model predicts text, as a trained one does")
    };
    let place = format!("the first {} tokens of the text {}", run.bits.len() + 1, run.text);
    let found = format!(
        "{bits:.2} bits per token, a perplexity of {}; guessing costs log2(vocabulary) = {uniform:.2}",
        short(bits.exp2())
    );
    vec![Finding::new(CHECK, place, found, judgement)]
}
