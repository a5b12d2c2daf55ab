//! The suite's format of entropy profiles: the attention entropy and the class of each query head of a model.

use crate::manifest::is_sha256;
use crate::{ClassCounts, ContentError, FileHash, HeadClass, RecordError, Thresholds, json};
use serde::{Deserialize, Serialize};

pub(crate) const KIND: &str = "entropy profile";

/// The attention entropies of a model, head by head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name of the model.
    pub model: String,
    /// A hash of the model's content, 64 lower-case hex digits; `None` if it is not known. Files of older
    /// versions do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_sha256: Option<String>,
    /// The context length of the profile in tokens; `None` if it is not known.
    pub context: Option<usize>,
    /// The texts of the profile; empty if they are not known.
    pub texts: Vec<FileHash>,
    /// The bounds of the classes.
    pub thresholds: Thresholds,
    /// The query heads, layer by layer.
    pub heads: Vec<ProfileHead>,
    /// Statistics over the heads.
    pub summary: ProfileSummary,
}

/// One query head of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileHead {
    /// The layer, from 0.
    pub layer: usize,
    /// The query head, from 0.
    pub head: usize,
    /// The mean attention entropy in bits.
    pub entropy_bits: f64,
    /// The class of the head.
    pub class: HeadClass,
}

/// Statistics of the entropies of a profile. `mean`, `std`, `min` and `max` are in bits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSummary {
    /// The mean.
    pub mean: f64,
    /// The population standard deviation.
    pub std: f64,
    /// The coefficient of variation, `std / mean`; 0 if the mean is 0.
    pub cv: f64,
    /// The smallest entropy.
    pub min: f64,
    /// The largest entropy.
    pub max: f64,
    /// The number of heads in each class.
    pub classes: ClassCounts,
}

impl ProfileSummary {
    /// Computes the statistics of entropies in bits, one per head.
    fn from_entropies(entropies: &[f64], thresholds: &Thresholds) -> Self {
        let n = entropies.len() as f64;
        let mean = entropies.iter().sum::<f64>() / n;
        let std = (entropies.iter().map(|h| (h - mean).powi(2)).sum::<f64>() / n).sqrt();
        Self {
            mean,
            std,
            cv: if mean > 0.0 { std / mean } else { 0.0 },
            min: entropies.iter().copied().fold(f64::INFINITY, f64::min),
            max: entropies.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            classes: thresholds.count(entropies.iter().copied()),
        }
    }
}

json::document!(Profile);

impl Profile {
    /// Builds a profile from `entropies[layer][query head]` in bits. The classes and the summary follow from
    /// them.
    ///
    /// # Errors
    /// Fails if layers have different numbers of heads, an entropy is negative or not finite, or the
    /// thresholds do not rise.
    pub fn new(
        model: impl Into<String>,
        context: Option<usize>,
        texts: Vec<FileHash>,
        thresholds: Thresholds,
        entropies: &[Vec<f64>],
    ) -> Result<Self, RecordError> {
        let model = model.into();
        let flat = entropies.concat();
        let heads = entropies.iter().enumerate().flat_map(|(layer, row)| {
            row.iter().enumerate().map(move |(head, &entropy_bits)| {
                let class = thresholds.classify(entropy_bits);
                ProfileHead { layer, head, entropy_bits, class }
            })
        });
        let summary = ProfileSummary::from_entropies(&flat, &thresholds);
        let file = model.clone();
        let profile =
            Self { model, model_sha256: None, context, texts, thresholds, heads: heads.collect(), summary };
        profile.check(&file)?;
        Ok(profile)
    }

    /// Returns the profile of a model with this hash of its content.
    #[must_use]
    pub fn with_model_sha256(self, content: String) -> Self {
        Self { model_sha256: Some(content), ..self }
    }

    /// Parses a profile. `file` names the text in errors.
    ///
    /// # Errors
    /// Fails if the text has an unknown key or a missing or repeated head, or when the classes or the summary
    /// do not follow from the entropies.
    pub fn from_json(text: &str, file: &str) -> Result<Self, RecordError> {
        let profile: Self = json::parse(text, file, KIND)?;
        profile.check(file)?;
        Ok(profile)
    }

    /// Returns the profile as indented JSON, as in a file and as `bitkv profile --json` prints it.
    ///
    /// # Errors
    /// Fails if parts of the profile contradict each other.
    pub fn to_json(&self) -> Result<String, RecordError> {
        self.check(&self.model)?;
        json::render(self, &self.model, KIND)
    }

    /// Returns the number of layers.
    pub fn layers(&self) -> usize {
        self.heads.last().map_or(0, |last| last.layer + 1)
    }

    /// Returns the entropies as `[layer][query head]`, in bits.
    pub fn entropies(&self) -> Vec<Vec<f64>> {
        let mut layers = vec![Vec::new(); self.layers()];
        for head in &self.heads {
            layers[head.layer].push(head.entropy_bits);
        }
        layers
    }

    fn check_values(&self) -> Result<(), ContentError> {
        if let Some(sha256) = self.model_sha256.as_ref().filter(|text| !is_sha256(text)) {
            return Err(ContentError::NotAHash { sha256: sha256.clone(), file: self.model.clone() });
        }
        if !self.thresholds.are_ordered() {
            return Err(ContentError::Thresholds);
        }
        let width = self.heads.iter().take_while(|head| head.layer == 0).count();
        if width == 0 || !self.heads.len().is_multiple_of(width) {
            return Err(ContentError::Ragged);
        }
        for (i, head) in self.heads.iter().enumerate() {
            let (expected, found) = ((i / width, i % width), (head.layer, head.head));
            if found != expected {
                return Err(ContentError::Order { found, expected });
            }
            let ProfileHead { layer, head, entropy_bits: bits, class: found } = *head;
            if !bits.is_finite() || bits < 0.0 {
                return Err(ContentError::NotAnEntropy { bits, layer, head });
            }
            let expected = self.thresholds.classify(bits);
            if found != expected {
                return Err(ContentError::Class { layer, head, found, expected });
            }
        }
        let entropies: Vec<f64> = self.heads.iter().map(|head| head.entropy_bits).collect();
        let expected = ProfileSummary::from_entropies(&entropies, &self.thresholds);
        let found = self.summary;
        let pairs = [
            ("mean", found.mean, expected.mean),
            ("std", found.std, expected.std),
            ("cv", found.cv, expected.cv),
            ("min", found.min, expected.min),
            ("max", found.max, expected.max),
        ];
        if let Some((name, found, expected)) =
            pairs.into_iter().find(|(_, found, expected)| !close(*found, *expected))
        {
            return Err(ContentError::Summary { name, found, expected });
        }
        match found.classes == expected.classes {
            true => Ok(()),
            false => Err(ContentError::SummaryClasses),
        }
    }
}

/// Returns whether two numbers are equal up to the rounding of a printed decimal.
pub(crate) fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * (1.0 + b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Profile {
        let entropies = [vec![0.25, 1.0], vec![2.0, 4.75]];
        let texts = vec![FileHash::from_bytes("a.txt", b"a")];
        Profile::new("tiny", Some(512), texts, Thresholds::CODE, &entropies).unwrap()
    }

    #[test]
    fn the_summary_follows_from_the_heads() {
        let summary = example().summary;
        assert_eq!((summary.mean, summary.min, summary.max), (2.0, 0.25, 4.75));
        let variance = (1.75f64.powi(2) + 1.0 + 0.0 + 2.75f64.powi(2)) / 4.0;
        assert!((summary.std - variance.sqrt()).abs() < 1e-12);
        assert!((summary.cv - variance.sqrt() / 2.0).abs() < 1e-12);
        assert_eq!(summary.classes, ClassCounts { sink: 1, focused: 1, moderate: 1, mixed: 0, diffuse: 1 });
    }

    #[test]
    fn a_profile_reads_back_equal_and_has_the_documented_keys() {
        let profile = example();
        let text = profile.to_json().unwrap();
        assert_eq!(Profile::from_json(&text, "p.json").unwrap(), profile);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["heads"][3]["entropy_bits"], 4.75);
        assert_eq!(value["heads"][3]["class"], "diffuse");
        assert_eq!(value["summary"]["classes"]["sink"], 1);
        assert_eq!(profile.entropies(), [vec![0.25, 1.0], vec![2.0, 4.75]]);
    }

    #[test]
    fn contradictions_are_errors() {
        type Spoil = fn(&mut Profile);
        let cases: [(Spoil, &str); 6] = [
            (|p| p.heads[1].class = HeadClass::Mixed, "focused"),
            (|p| p.heads.swap(2, 3), "layer 1, head 1 where layer 1, head 0"),
            (|p| p.heads[2].entropy_bits = -1.0, "entropy_bits = -1"),
            (|p| p.summary.mean = 2.1, "summary.mean = 2.1"),
            (|p| p.summary.classes.sink = 2, "classes"),
            (|p| p.thresholds.focused = 0.5, "thresholds"),
        ];
        for (spoil, expected) in cases {
            let mut profile = example();
            spoil(&mut profile);
            let message = profile.check("p.json").unwrap_err().to_string();
            assert!(message.contains(expected), "{message} lacks {expected}");
        }
    }

    #[test]
    fn ragged_empty_and_nan_entropies_are_errors() {
        let new = |entropies: &[Vec<f64>]| Profile::new("m", None, vec![], Thresholds::CODE, entropies);
        assert!(new(&[]).is_err());
        assert!(new(&[vec![1.0, 2.0], vec![1.0]]).is_err());
        assert!(new(&[vec![f64::NAN]]).is_err());
        assert_eq!(new(&[vec![0.0]]).unwrap().summary.cv, 0.0);
    }
}
