//! What a model and its Llama skeleton make of the same texts: rows by text, and `summary.json`.

use serde::{Deserialize, Serialize};
use std::path::Path;

use crate::{ClassCounts, RecordError, Row, json};

const KIND: &str = "skeleton comparison";

/// What one text costs one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossRow {
    /// Model name, with the mark of a skeleton where it is one.
    pub model: String,
    /// The model it is compared with; itself for the true model.
    pub reference: String,
    /// Text name.
    pub text: String,
    /// Register of the text, for example "dialogue".
    pub register: String,
    /// Scored tokens: all of the window but the first.
    pub targets: usize,
    /// UTF-8 bytes of the scored tokens.
    pub bytes_scored: usize,
    /// Negative log-likelihood in bits, mean per scored token.
    pub bits_per_token: f64,
    /// The same, per UTF-8 byte.
    pub bits_per_byte: f64,
    /// What guessing costs a token: log2 of the vocabulary.
    pub uniform_bits: f64,
    /// Fraction of positions with the reference's most likely next token; empty for the reference.
    pub agreement: Option<f64>,
    /// KL(reference || model) of the next token in nats, mean per position; empty for the reference.
    pub kl_nats: Option<f64>,
}

impl Row for LossRow {
    const KIND: &'static str = "loss";
    const COLUMNS: &'static [&'static str] = &[
        "model",
        "reference",
        "text",
        "register",
        "targets",
        "bytes_scored",
        "bits_per_token",
        "bits_per_byte",
        "uniform_bits",
        "agreement",
        "kl_nats",
    ];

    fn key(&self) -> String {
        format!("model {}, text {}", self.model, self.text)
    }

    fn check(&self) -> Result<(), String> {
        let bits = [("bits_per_token", self.bits_per_token), ("bits_per_byte", self.bits_per_byte)];
        let others = [("uniform_bits", self.uniform_bits), ("kl_nats", self.kl_nats.unwrap_or(0.0))];
        for (name, value) in bits.into_iter().chain(others) {
            if !(0.0..=f64::MAX).contains(&value) {
                return Err(format!("{name} = {value} is not between 0 and infinity"));
            }
        }
        if self.agreement.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err(format!("agreement = {} is not a fraction", self.agreement.unwrap_or_default()));
        }
        let (own, compared) = (self.model == self.reference, [self.agreement, self.kl_nats]);
        if compared.iter().any(|value| value.is_some() == own) {
            return Err("agreement and kl_nats belong to models that are compared with another".to_owned());
        }
        let by_token = self.bits_per_token * self.targets as f64;
        let by_byte = self.bits_per_byte * self.bytes_scored as f64;
        if (by_token - by_byte).abs() > 1e-6 * (1.0 + by_token) {
            return Err(format!("bits_per_token gives {by_token} bits and bits_per_byte {by_byte}"));
        }
        Ok(())
    }
}

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
    use crate::{read_rows, write_rows};

    fn row() -> LossRow {
        LossRow {
            model: "m+mark".into(),
            reference: "m".into(),
            text: "a".into(),
            register: "prose".into(),
            targets: 10,
            bytes_scored: 40,
            bits_per_token: 6.0,
            bits_per_byte: 1.5,
            uniform_bits: 11.0,
            agreement: Some(0.5),
            kl_nats: Some(0.25),
        }
    }

    #[test]
    fn rows_read_back_equal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.csv");
        let own = LossRow { model: "m".into(), agreement: None, kl_nats: None, ..row() };
        let rows = [own, row()];
        write_rows(&path, &rows).unwrap();
        assert_eq!(read_rows::<LossRow>(&path).unwrap(), rows);
    }

    #[test]
    fn impossible_rows_are_refused() {
        let cases: [(LossRow, &str); 5] = [
            (LossRow { bits_per_token: f64::NAN, ..row() }, "bits_per_token = NaN"),
            (LossRow { agreement: Some(1.5), ..row() }, "agreement = 1.5"),
            (LossRow { kl_nats: None, ..row() }, "compared with another"),
            (LossRow { model: "m".into(), ..row() }, "compared with another"),
            (LossRow { bits_per_byte: 1.6, ..row() }, "gives 60 bits"),
        ];
        for (row, says) in cases {
            let reason = row.check().unwrap_err();
            assert!(reason.contains(says), "{reason}");
        }
    }
}
