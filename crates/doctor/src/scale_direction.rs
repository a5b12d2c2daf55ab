//! Whether scales are applied in the direction the model was trained for, told by what it makes of a text.
//!
//! Magnitudes do not tell: where masters are of order one, so are the scale and its reciprocal. A text does, because one
//! direction is that of training.

use std::collections::BTreeMap;

use bitkv_checkpoint::{Checkpoint, Coding, Config, ScaleRule, WeightFormat};
use safetensors::{Dtype, tensor::TensorView};

use crate::{
    Examination, Finding, Result, Severity,
    finding::{Judgement, fine, note},
    masters,
    run::Run,
};

const CHECK: &str = "scale-direction";

/// One direction has to win by this many standard errors of the mean difference ..
const CLEAR: f64 = 3.0;
/// .. and by this many bits per token.
const BITS: f64 = 0.1;

/// The part of the bits of guessing from which on the present direction is taken for broken.
const BROKEN: f64 = 0.9;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let checkpoint = &examination.evidence.checkpoint;
    let (Ok(present), Ok(Some(other))) = (&examination.run, turned(checkpoint)) else { return Vec::new() };
    let Ok(other) = Run::of(&other, &examination.evidence.tokenizer) else { return Vec::new() };
    let uniform = (checkpoint.config().vocab_size as f64).log2();
    // Of two directions that are both worse than guessing, neither is that of training.
    let trained = other.mean_bits() < uniform;
    let judgement = if trained && is_better(&other.bits, &present.bits) {
        Judgement::new(
            if present.mean_bits() >= BROKEN * uniform { Severity::Fault } else { Severity::Warning },
            "the scales are applied in the wrong direction: the text is far likelier the other way",
            masters::remedy(checkpoint.config()),
        )
    } else if is_better(&present.bits, &other.bits) {
        fine("the configured direction is that of training")
    } else {
        note(
            "the text does not tell: it is about as likely either way, as where scales are near one, or hopeless in both",
            "compare with the masters, if there are some: --masters",
        )
    };
    let place = format!("the weight scales, on the text {}", present.text);
    let (now, turned) = (present.mean_bits(), other.mean_bits());
    let found = format!("{now:.2} bits per token as configured, {turned:.2} with reciprocal scales");
    vec![Finding::new(CHECK, place, found, judgement)]
}

fn is_better(bits: &[f64], than: &[f64]) -> bool {
    let gains: Vec<f64> = bits.iter().zip(than).map(|(a, b)| b - a).collect();
    let count = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / count;
    let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    // Also false when something is no number.
    mean >= BITS && mean >= CLEAR * (variance / count).sqrt()
}

/// The same packed folder with the other rule; `None` where there is no rule to turn.
fn turned(checkpoint: &Checkpoint) -> Result<Option<Checkpoint>> {
    let WeightFormat::Packed(rule) = checkpoint.config().weights else { return Ok(None) };
    if checkpoint.gguf().is_some() {
        return Ok(None);
    }
    let rule = if rule == ScaleRule::Multiply { ScaleRule::Divide } else { ScaleRule::Multiply };
    let config = Config { weights: WeightFormat::Packed(rule), ..checkpoint.config().clone() };
    let tensors = checkpoint.tensors()?;
    let mut views = BTreeMap::new();
    for tensor in &tensors {
        if let Some(dtype) = dtype(&tensor.coding) {
            let view = TensorView::new(dtype, tensor.shape.clone(), &tensor.bytes)?;
            views.insert(tensor.name.clone(), view);
        }
    }
    let bytes = safetensors::serialize(views, None)?;
    Ok(Some(Checkpoint::from_bytes(&config.to_json(), bytes)?))
}

/// The type of a tensor in a safetensors file; `None` for types that no part of a model has.
fn dtype(coding: &Coding) -> Option<Dtype> {
    match coding {
        Coding::F32 => Some(Dtype::F32),
        Coding::F16 => Some(Dtype::F16),
        Coding::Bf16 => Some(Dtype::BF16),
        Coding::Folded => Some(Dtype::U8),
        _ => None,
    }
}
