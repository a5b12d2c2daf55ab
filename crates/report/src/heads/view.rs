//! The rows of one profile, arranged.

use super::FOCUSED_BITS;
use crate::interval::{Estimate, mean};
use crate::unique;
use bitkv_record::HeadRow;
use bitkv_stats::Summary;
use std::collections::BTreeMap;

/// The profile name under which published entropies are recorded.
const PUBLISHED: &str = "published";

/// More layers, or heads in one, than any model has.
const MOST: usize = 4096;

/// One profile of one model.
pub(super) struct View {
    pub(super) profile: String,
    pub(super) context: usize,
    /// Entropy in bits, `[layer][head]`.
    pub(super) matrix: Vec<Vec<Option<f64>>>,
    /// Mean over heads of the normalised entropy.
    pub(super) normalised: Option<f64>,
    /// Mean entropy over heads, with its interval over texts.
    pub(super) mean: Option<Estimate>,
}

/// The profiles of a model in order of first appearance.
pub(super) fn views(model: &str, rows: &[HeadRow], seed: u64) -> Vec<View> {
    let rows: Vec<&HeadRow> = rows.iter().filter(|row| row.model == model).collect();
    let keys = unique(rows.iter().map(|row| (row.profile.as_str(), row.context)));
    let of = |(profile, context)| {
        let chosen: Vec<&HeadRow> =
            rows.iter().copied().filter(|row| row.profile == profile && row.context == context).collect();
        View::new(profile, context, &chosen, seed)
    };
    keys.into_iter().map(of).collect()
}

impl View {
    fn new(profile: &str, context: usize, rows: &[&HeadRow], seed: u64) -> Self {
        let (texts, means): (Vec<&HeadRow>, Vec<&HeadRow>) =
            rows.iter().partition(|row| !row.text.is_empty());
        // Without recorded means the texts are averaged here.
        let heads = if means.is_empty() { &texts } else { &means };
        let matrix = matrix(heads);
        let known: Vec<f64> = matrix.iter().flatten().copied().flatten().collect();
        let normalised: Vec<f64> = heads.iter().filter_map(|row| row.normalised_entropy).collect();
        let text_means: Vec<f64> = unique(texts.iter().map(|row| row.text.as_str()))
            .into_iter()
            .filter_map(|text| {
                average(texts.iter().filter(|row| row.text == text).filter_map(|row| row.entropy_bits))
            })
            .collect();
        let interval = mean(&text_means, seed).and_then(|estimate| estimate.interval);
        Self {
            profile: profile.to_owned(),
            context,
            mean: average(known).map(|value| Estimate { value, interval }),
            normalised: average(normalised),
            matrix,
        }
    }

    /// The entropies that are known, layer by layer.
    pub(super) fn known(&self) -> Vec<f64> {
        self.matrix.iter().flatten().copied().flatten().collect()
    }

    /// How many heads have no recorded entropy.
    pub(super) fn unknown(&self) -> usize {
        self.matrix.iter().flatten().filter(|value| value.is_none()).count()
    }

    /// Statistics over all heads; none when some are unknown, because those are never a random part.
    pub(super) fn statistics(&self) -> Option<Summary> {
        if self.unknown() > 0 { None } else { Summary::of(&self.known()) }
    }

    /// The part of the known heads below 1.5 bits.
    pub(super) fn focused_share(&self) -> Option<f64> {
        let known = self.known();
        let below = known.iter().filter(|bits| **bits < FOCUSED_BITS).count();
        (!known.is_empty()).then(|| below as f64 / known.len() as f64)
    }

    /// Whether it was published.
    pub(super) fn is_published(&self) -> bool {
        self.profile == PUBLISHED
    }

    /// Whether the suite measured it.
    pub(super) fn is_measured(&self) -> bool {
        !self.is_published() && !self.known().is_empty()
    }

    /// What a table calls it.
    pub(super) fn source(&self) -> &str {
        if self.is_published() { "published entropies, recounted" } else { &self.profile }
    }

    /// The profile's name without its length: what is the same along a curve.
    pub(super) fn series(&self) -> &str {
        self.profile.strip_suffix(&format!("-{}", self.context)).unwrap_or(&self.profile)
    }

    /// The context length; 0 stands for one that is not known.
    pub(super) fn context_text(&self) -> String {
        if self.context == 0 { crate::format::MISSING.to_owned() } else { self.context.to_string() }
    }
}

/// Arranges rows as `[layer][head]`, averaging rows of the same head; a head without a row is unknown.
fn matrix(rows: &[&HeadRow]) -> Vec<Vec<Option<f64>>> {
    let mut cells: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    // An absurd index in a damaged file must not ask for an absurd allocation.
    for row in rows.iter().filter(|row| row.layer < MOST && row.head < MOST) {
        cells.entry((row.layer, row.head)).or_default().extend(row.entropy_bits);
    }
    let mut layers: Vec<Vec<Option<f64>>> = Vec::new();
    for ((layer, head), values) in cells {
        if layers.len() <= layer {
            layers.resize(layer + 1, Vec::new());
        }
        let row = &mut layers[layer];
        if row.len() <= head {
            row.resize(head + 1, None);
        }
        row[head] = average(values);
    }
    layers
}

fn average(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.into_iter().fold((0.0, 0usize), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / n as f64)
}
