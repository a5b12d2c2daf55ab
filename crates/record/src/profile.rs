//! The suite's entropy profile: one entropy and class for each query head of a model.

use crate::{ClassCounts, ContentError, FileHash, HeadClass, RecordError, Thresholds, json};
use serde::{Deserialize, Serialize};

const KIND: &str = "entropy profile";

/// The attention entropies of a model, head by head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Model name.
    pub model: String,
    /// Context length profiled at, in tokens; none where it is not known.
    pub context: Option<usize>,
    /// The texts profiled on; empty where they are not known.
    pub texts: Vec<FileHash>,
    /// The class bounds.
    pub thresholds: Thresholds,
    /// Every query head, layer by layer.
    pub heads: Vec<ProfileHead>,
    /// Statistics over the heads.
    pub summary: ProfileSummary,
}

/// One query head of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileHead {
    /// Layer, from 0.
    pub layer: usize,
    /// Query head, from 0.
    pub head: usize,
    /// Mean attention entropy in bits.
    pub entropy_bits: f64,
    /// Its class.
    pub class: HeadClass,
}

/// Statistics of the entropies of a profile, in bits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSummary {
    /// Mean.
    pub mean: f64,
    /// Population standard deviation.
    pub std: f64,
    /// Coefficient of variation, `std / mean`; 0 when the mean is 0.
    pub cv: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Heads in each class.
    pub classes: ClassCounts,
}

impl ProfileSummary {
    fn of(entropies: &[f64], thresholds: &Thresholds) -> Self {
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
    /// Builds a profile from `entropies[layer][query head]` in bits; classes and summary follow from them.
    /// Every layer must have the same number of heads, every entropy must be finite and not negative.
    ///
    /// # Errors
    /// When one of these does not hold, or the thresholds do not rise.
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
        let summary = ProfileSummary::of(&flat, &thresholds);
        let file = model.clone();
        let profile = Self { model, context, texts, thresholds, heads: heads.collect(), summary };
        profile.check(&file)?;
        Ok(profile)
    }

    /// Parses a profile; `file` names the text in errors. Refuses unknown keys, a missing or repeated head,
    /// and classes or a summary that do not follow from the entropies.
    ///
    /// # Errors
    /// When the text is not such a profile.
    pub fn from_json(text: &str, file: &str) -> Result<Self, RecordError> {
        let profile: Self = json::parse(text, file, KIND)?;
        profile.check(file)?;
        Ok(profile)
    }

    /// The profile as indented JSON: what the file holds and what `bitkv profile --json` prints.
    ///
    /// # Errors
    /// When the profile was changed so that its parts contradict each other.
    pub fn to_json(&self) -> Result<String, RecordError> {
        self.check(&self.model)?;
        json::render(self, &self.model, KIND)
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.heads.last().map_or(0, |last| last.layer + 1)
    }

    /// The entropies as `[layer][query head]`, in bits.
    pub fn entropies(&self) -> Vec<Vec<f64>> {
        let mut layers = vec![Vec::new(); self.layers()];
        for head in &self.heads {
            layers[head.layer].push(head.entropy_bits);
        }
        layers
    }

    fn agrees(&self) -> Result<(), ContentError> {
        if !self.thresholds.are_ordered() {
            return Err(ContentError::Thresholds);
        }
        let width = self.heads.iter().take_while(|head| head.layer == 0).count();
        if width == 0 || !self.heads.len().is_multiple_of(width) {
            return Err(ContentError::Ragged);
        }
        for (i, head) in self.heads.iter().enumerate() {
            let (due, found) = ((i / width, i % width), (head.layer, head.head));
            if found != due {
                return Err(ContentError::Order { found, due });
            }
            let ProfileHead { layer, head, entropy_bits: bits, class: found } = *head;
            if !bits.is_finite() || bits < 0.0 {
                return Err(ContentError::NotAnEntropy { bits, layer, head });
            }
            let due = self.thresholds.classify(bits);
            if found != due {
                return Err(ContentError::Class { layer, head, found, due });
            }
        }
        let entropies: Vec<f64> = self.heads.iter().map(|head| head.entropy_bits).collect();
        let due = ProfileSummary::of(&entropies, &self.thresholds);
        let found = self.summary;
        let pairs = [
            ("mean", found.mean, due.mean),
            ("std", found.std, due.std),
            ("cv", found.cv, due.cv),
            ("min", found.min, due.min),
            ("max", found.max, due.max),
        ];
        if let Some((name, found, due)) = pairs.into_iter().find(|(_, found, due)| !close(*found, *due)) {
            return Err(ContentError::Summary { name, found, due });
        }
        match found.classes == due.classes {
            true => Ok(()),
            false => Err(ContentError::SummaryClasses),
        }
    }
}

/// Equal up to the rounding of a printed decimal.
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
    fn a_profile_reads_back_equal_under_the_promised_keys() {
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
    fn what_does_not_follow_is_refused() {
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
    fn ragged_empty_and_unknown_entropies_are_refused() {
        let new = |entropies: &[Vec<f64>]| Profile::new("m", None, vec![], Thresholds::CODE, entropies);
        assert!(new(&[]).is_err());
        assert!(new(&[vec![1.0, 2.0], vec![1.0]]).is_err());
        assert!(new(&[vec![f64::NAN]]).is_err());
        assert_eq!(new(&[vec![0.0]]).unwrap().summary.cv, 0.0);
    }
}
