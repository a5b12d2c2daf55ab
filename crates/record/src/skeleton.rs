//! What a model and its Llama skeleton make of the same texts: `summary.json`.

use crate::{ClassCounts, RecordError, json};
use serde::{Deserialize, Serialize};
use std::path::Path;

const KIND: &str = "skeleton comparison";

/// `summary.json`: models beside their skeletons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkeletonComparison {
    /// What result would have shown that the mistake is harmless, fixed before anything was measured.
    pub refutation: String,
    /// One entry a model.
    pub models: Vec<SkeletonPair>,
    /// The run folder, where one was written.
    pub run: Option<String>,
}

/// A model and its skeleton.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkeletonPair {
    /// Name of the true model.
    pub model: String,
    /// What the skeleton does otherwise.
    pub mistakes: Mistakes,
    /// The model as it is.
    #[serde(rename = "true")]
    pub truth: Reading,
    /// The model as the Llama it is not.
    pub skeleton: Reading,
    /// Skeleton minus truth, text by text.
    pub difference: Difference,
    /// What a harmless mistake would show.
    pub expectations: Vec<Expectation>,
    /// Whether all of it was shown.
    pub harmless: bool,
}

/// Which of the published mistakes a skeleton makes; a model without sub-norms, say, cannot lose them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mistakes {
    /// What the linear layers multiply by.
    pub weights: SkeletonWeights,
    /// The activation that SiLU takes the place of; none where it is SiLU anyway.
    pub replaced_activation: Option<String>,
    /// Whether sub-norms are left out.
    pub without_sub_norms: bool,
    /// Whether activations stay f32 where they should be int8.
    pub unquantised_activations: bool,
}

/// Float weights of a skeleton.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkeletonWeights {
    /// Full-precision masters that are not made ternary, as in the published verification.
    Masters,
    /// Ternary codes times their scale, because the checkpoint holds no masters: the weights are right.
    CodesTimesScale,
}

/// What one model makes of the texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Model name, with the mark of a skeleton where it is one.
    pub name: String,
    /// Bits of a scored token, over all texts.
    pub bits_per_token: f64,
    /// Bits of a scored byte, over all texts.
    pub bits_per_byte: f64,
    /// 2 to the power of `bits_per_token`.
    pub perplexity: f64,
    /// What guessing costs a token: log2 of the vocabulary.
    pub uniform_bits: f64,
    /// Attention entropies by context length.
    pub profiles: Vec<ProfileReading>,
}

/// Attention entropies at one context length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileReading {
    /// Context length in tokens.
    pub context: usize,
    /// Mean over heads, in bits.
    pub mean_bits: f64,
    /// Heads in each class, by the bounds of the published code.
    pub classes: ClassCounts,
    /// Share of heads below 1.5 bits.
    pub below_focused: f64,
}

/// Skeleton against truth. Every [`Spread`] is over texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Skeleton minus truth, in bits.
    pub bits_per_token: Spread,
    /// Skeleton minus truth, in bits.
    pub bits_per_byte: Spread,
    /// Skeleton minus log2 of the vocabulary, in bits: above 0 guessing would do better.
    pub above_uniform_bits: Spread,
    /// Fraction of positions with the same most likely next token.
    pub agreement: Spread,
    /// KL(truth || skeleton) in nats a position.
    pub kl_nats: Spread,
    /// Attention entropies by context length.
    pub profiles: Vec<ProfileDifference>,
}

/// Two profiles at one context length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileDifference {
    /// Context length in tokens.
    pub context: usize,
    /// Spearman's correlation of the two profiles over heads; none where one does not vary.
    pub rank_correlation: Option<f64>,
    /// The same of the true model's profiles on either half of the texts: what chance leaves of 1.
    pub between_halves: Option<f64>,
    /// Mean over heads of the absolute difference of the two profiles, in bits.
    pub mean_absolute_bits: f64,
    /// Spearman's correlation text by text; none where some text has none.
    pub text_rank_correlation: Option<Spread>,
    /// Mean absolute difference text by text, in bits.
    pub text_absolute_bits: Spread,
    /// Skeleton minus truth of the share of heads below 1.5 bits, text by text.
    pub text_below_focused: Spread,
}

/// A mean over texts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// Ends of its 95 % bootstrap interval; none for a single text.
    pub interval: Option<(f64, f64)>,
}

/// Something that a harmless mistake would show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// What it is.
    pub statement: String,
    /// What was measured.
    pub measured: String,
    /// Whether the measurement shows it.
    pub holds: bool,
}

impl SkeletonComparison {
    /// Reads `summary.json`; refuses a verdict that does not follow from its expectations.
    ///
    /// # Errors
    /// When it cannot be read or does not agree with itself.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let file = path.display().to_string();
        let comparison: Self = json::parse(&json::read_text(path)?, &file, KIND)?;
        match comparison.fault() {
            Some(reason) => Err(RecordError::Content { file, kind: KIND, reason }),
            None => Ok(comparison),
        }
    }

    fn fault(&self) -> Option<String> {
        let wrong =
            self.models.iter().find(|pair| pair.harmless != pair.expectations.iter().all(|e| e.holds))?;
        Some(format!(
            "harmless = {} of {} does not follow from its expectations",
            wrong.harmless, wrong.model
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_has_to_follow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        let spread = Spread { mean: 0.0, interval: None };
        let reading = Reading {
            name: "m".into(),
            bits_per_token: 6.0,
            bits_per_byte: 1.5,
            perplexity: 64.0,
            uniform_bits: 11.0,
            profiles: Vec::new(),
        };
        let mistakes = Mistakes {
            weights: SkeletonWeights::Masters,
            replaced_activation: None,
            without_sub_norms: true,
            unquantised_activations: true,
        };
        let difference = Difference {
            bits_per_token: spread,
            bits_per_byte: spread,
            above_uniform_bits: spread,
            agreement: spread,
            kl_nats: spread,
            profiles: Vec::new(),
        };
        let fails = Expectation { statement: "s".into(), measured: "m".into(), holds: false };
        let mut pair = SkeletonPair {
            model: "m".into(),
            mistakes,
            truth: reading.clone(),
            skeleton: reading,
            difference,
            expectations: vec![fails],
            harmless: false,
        };
        let mut read = |harmless| {
            pair.harmless = harmless;
            let whole = SkeletonComparison { refutation: "r".into(), models: vec![pair.clone()], run: None };
            json::write_text(&path, &json::render(&whole, "summary.json", KIND).unwrap()).unwrap();
            SkeletonComparison::read(&path).map(|found| assert_eq!(found, whole))
        };
        read(false).unwrap();
        let message = read(true).unwrap_err().to_string();
        assert!(message.contains("harmless = true of m does not follow"), "{message}");
    }
}
