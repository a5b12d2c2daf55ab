//! Checks whether the configuration says how a weight scale is applied, and reports the range of the scales.

use bitkv_checkpoint::{Architecture, ScaleRule, WeightFormat};
use bitkv_stats::median;

use crate::{
    Examination, Finding, Severity,
    finding::{Judgement, fine, short},
};

const CHECK: &str = "scale-rule";

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let multipliers: Vec<f64> =
        examination.codes.matrices.iter().map(|matrix| f64::from(matrix.linear.multiplier())).collect();
    let Some(middle) = median(&multipliers) else { return Vec::new() };
    let least = multipliers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = multipliers.iter().copied().fold(0.0, f64::max);
    let [least, middle, most] = [least, middle, most].map(short);
    let found = format!("sums of codes are multiplied by {least} to {most}, with a median of {middle}");
    vec![Finding::new(CHECK, format!("{} weight scales", multipliers.len()), found, judge(examination))]
}

fn judge(examination: &Examination<'_>) -> Judgement {
    let checkpoint = &examination.evidence.checkpoint;
    let config = checkpoint.config();
    let rule = match config.weights {
        _ if checkpoint.gguf().is_some() => return fine("a GGUF file holds the multipliers themselves"),
        WeightFormat::TernaryFloats | WeightFormat::Floats => {
            return fine("the multipliers are the magnitudes of the ternary weights");
        }
        WeightFormat::Masters => return fine("the multipliers are mean|W| of the master weights"),
        WeightFormat::Packed(rule) => rule,
    };
    let applies = if rule == ScaleRule::Multiply { "multiplies by" } else { "divides by" };
    let quantization = examination.evidence.settings.as_ref().map(|json| &json["quantization_config"]);
    let silent = quantization.is_some_and(|quantization| quantization["linear_class"].is_null());
    if !silent {
        return fine(format!("the model {applies} each weight_scale, because the configuration says so"));
    }
    let means = format!(
        "the configuration names no `linear_class`, so the model {applies} each weight_scale; if master weights are of \
         order one, a scale and its reciprocal both look plausible"
    );
    // The published Llama checkpoint in the format of transformers does not name `linear_class`, and its
    // scales divide.
    let usual = config.architecture == Architecture::Llama && rule == ScaleRule::Divide;
    let severity = if usual { Severity::Note } else { Severity::Warning };
    let remedy = "if the model generates nonsense, set `linear_class` in `quantization_config` to autobitlinear \
                  (multiply) or bitlinear (divide), depending on how it was packed; --masters MODEL shows which is right";
    Judgement::new(severity, means, remedy)
}
