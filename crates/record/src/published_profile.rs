//! Reads and writes the published format of entropy profiles (`entropy_config.json` of microsoft/BitNet pull
//! request 497).

use crate::profile::close;
use crate::{ClassCounts, ContentError, Profile, RecordError, Thresholds, ValueError, json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) const KIND: &str = "published entropy profile";

/// A profile in the published format. Unknown keys are ignored, because the suite does not define this
/// format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedProfile {
    /// Always 1.
    pub format_version: u32,
    /// The name of the model.
    pub model: String,
    /// A hash of the model's content, which only files that bitkv wrote have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_sha256: Option<String>,
    /// The number of layers.
    pub n_layer: usize,
    /// The number of query heads per layer.
    pub n_head: usize,
    /// The number of KV heads per layer.
    pub n_head_kv: usize,
    /// The model's longest context in tokens. The format does not have the context length of the profile.
    pub n_ctx: usize,
    /// The shape of the model, as its configuration gives it.
    #[serde(default)]
    pub model_info: serde_json::Map<String, serde_json::Value>,
    /// Statistics over the heads.
    pub entropy_stats: PublishedStats,
    /// The number of heads in each class. The format leaves empty classes out.
    pub head_types: PublishedTypes,
    /// The entropy of each head in bits, under the key `L{layer}_H{head}`.
    pub head_entropies: BTreeMap<HeadKey, f64>,
}

/// Statistics of the entropies, as published. `min`, `max`, `mean` and `std` are in bits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PublishedStats {
    /// The smallest entropy.
    pub min: f64,
    /// The largest entropy.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// The population standard deviation.
    pub std: f64,
    /// The coefficient of variation, `std / mean`.
    pub cv: f64,
    /// `max / min`; `None` if the smallest entropy is 0.
    pub range_ratio: Option<f64>,
}

/// The number of heads in each class, as published. A class without heads is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishedTypes {
    #[serde(skip_serializing_if = "is_zero")]
    sink: usize,
    #[serde(skip_serializing_if = "is_zero")]
    focused: usize,
    #[serde(skip_serializing_if = "is_zero")]
    moderate: usize,
    #[serde(skip_serializing_if = "is_zero")]
    mixed: usize,
    #[serde(skip_serializing_if = "is_zero")]
    diffuse: usize,
}

/// The key of a head, `L{layer}_H{head}`. Keys are ordered by layer, then by head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeadKey {
    /// The layer, from 0.
    pub layer: usize,
    /// The query head, from 0.
    pub head: usize,
}

/// What the published format has in addition to the entropies.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedShape {
    /// The number of KV heads per layer.
    pub n_head_kv: usize,
    /// The model's longest context in tokens.
    pub n_ctx: usize,
    /// The shape of the model, under the names of its configuration.
    pub model_info: serde_json::Map<String, serde_json::Value>,
}

json::document!(PublishedProfile);

impl PublishedProfile {
    /// Converts a profile of the suite to the published format.
    ///
    /// # Errors
    /// Fails if the shape and the entropies contradict each other.
    pub fn from_profile(profile: &Profile, shape: PublishedShape) -> Result<Self, RecordError> {
        let summary = profile.summary;
        let entry = |h: &crate::ProfileHead| (HeadKey { layer: h.layer, head: h.head }, h.entropy_bits);
        let published = Self {
            format_version: 1,
            model: profile.model.clone(),
            model_sha256: profile.model_sha256.clone(),
            n_layer: profile.layers(),
            n_head: profile.heads.len() / profile.layers().max(1),
            n_head_kv: shape.n_head_kv,
            n_ctx: shape.n_ctx,
            model_info: shape.model_info,
            entropy_stats: PublishedStats {
                min: summary.min,
                max: summary.max,
                mean: summary.mean,
                std: summary.std,
                cv: summary.cv,
                range_ratio: (summary.min > 0.0).then(|| summary.max / summary.min),
            },
            head_types: Thresholds::CODE.count(profile.heads.iter().map(|h| h.entropy_bits)).into(),
            head_entropies: profile.heads.iter().map(entry).collect(),
        };
        published.check(&published.model)?;
        Ok(published)
    }

    /// Converts to a profile of the suite, with the class bounds of the published code. The context length
    /// and the texts stay unknown, because the published format does not have them.
    ///
    /// # Errors
    /// Fails if parts of the profile contradict each other.
    pub fn to_profile(&self) -> Result<Profile, RecordError> {
        self.check(&self.model)?;
        let flat: Vec<f64> = self.head_entropies.values().copied().collect();
        let layers: Vec<Vec<f64>> = flat.chunks(self.n_head).map(<[f64]>::to_vec).collect();
        let profile = Profile::new(&self.model, None, Vec::new(), Thresholds::CODE, &layers)?;
        Ok(Profile { model_sha256: self.model_sha256.clone(), ..profile })
    }

    /// Parses a published profile. `file` names the text in errors.
    ///
    /// # Errors
    /// Fails if a head is missing or does not belong to the shape, or when the statistics or the class counts
    /// do not follow from the entropies.
    pub fn from_json(text: &str, file: &str) -> Result<Self, RecordError> {
        let published: Self = json::parse(text, file, KIND)?;
        published.check(file)?;
        Ok(published)
    }

    fn check_values(&self) -> Result<(), ContentError> {
        if self.format_version != 1 {
            return Err(ContentError::PublishedVersion { version: self.format_version });
        }
        let (layers, heads, kv) = (self.n_layer, self.n_head, self.n_head_kv);
        if layers == 0 || heads == 0 || kv == 0 || !heads.is_multiple_of(kv) {
            return Err(ContentError::PublishedShape { layers, heads, kv });
        }
        let expected = (0..layers).flat_map(|layer| (0..heads).map(move |head| HeadKey { layer, head }));
        if !self.head_entropies.keys().copied().eq(expected) {
            let found = self.head_entropies.len();
            let (last_layer, last_head) = (layers - 1, heads - 1);
            return Err(ContentError::PublishedHeads { found, last_layer, last_head });
        }
        if let Some((key, &bits)) = self.head_entropies.iter().find(|(_, h)| !h.is_finite() || **h < 0.0) {
            return Err(ContentError::PublishedEntropy { key: (*key).into(), bits });
        }
        self.check_summary()
    }

    /// Checks that the statistics and the class counts follow from the entropies.
    fn check_summary(&self) -> Result<(), ContentError> {
        let rows: Vec<Vec<f64>> = vec![self.head_entropies.values().copied().collect()];
        let profile = Profile::new(&self.model, None, Vec::new(), Thresholds::CODE, &rows);
        let Ok(Profile { summary, .. }) = profile else { return Ok(()) };
        let stats = &self.entropy_stats;
        let pairs = [
            ("min", stats.min, summary.min),
            ("max", stats.max, summary.max),
            ("mean", stats.mean, summary.mean),
            ("std", stats.std, summary.std),
            ("cv", stats.cv, summary.cv),
        ];
        if let Some((name, found, expected)) =
            pairs.into_iter().find(|(_, found, expected)| !close(*found, *expected))
        {
            return Err(ContentError::PublishedStats { name, found, expected });
        }
        match self.head_types == summary.classes.into() {
            true => Ok(()),
            false => Err(ContentError::PublishedTypes),
        }
    }
}

impl From<ClassCounts> for PublishedTypes {
    fn from(c: ClassCounts) -> Self {
        let ClassCounts { sink, focused, moderate, mixed, diffuse } = c;
        Self { sink, focused, moderate, mixed, diffuse }
    }
}

impl TryFrom<String> for HeadKey {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        let parts = text.strip_prefix('L').and_then(|rest| rest.split_once("_H"));
        let number = |digits: &str| digits.parse().ok();
        parts
            .and_then(|(layer, head)| Some(Self { layer: number(layer)?, head: number(head)? }))
            .ok_or_else(|| ValueError::NotAHead { text: text.clone() })
    }
}

impl From<HeadKey> for String {
    fn from(HeadKey { layer, head }: HeadKey) -> Self {
        format!("L{layer}_H{head}")
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}
