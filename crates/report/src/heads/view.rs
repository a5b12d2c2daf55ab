//! One entropy profile: the heads of one model at one context length.

use super::bounds::below;
use crate::interval::{Estimate, mean};
use crate::published::PublishedEntropies;
use crate::unique;
use bitkv_record::{ClassCounts, HeadRow, Thresholds};
use bitkv_stats::Summary;
use std::collections::BTreeMap;

/// More layers, or heads per layer, than any model has.
const LIMIT: usize = 4096;

/// One entropy profile of one model.
pub(super) struct View {
    /// The name in tables, such as `calibration-512`.
    pub(super) profile: String,
    /// The context length in tokens, or `None` for a published profile.
    pub(super) context: Option<usize>,
    /// The entropies in bits, `[layer][head]`, or `None` if an entropy is not known.
    pub(super) matrix: Vec<Vec<Option<f64>>>,
    /// The mean of the normalised entropy over heads and texts.
    pub(super) normalised: Option<f64>,
    /// The mean entropy over heads in bits, with its interval over texts.
    pub(super) mean: Option<Estimate>,
}

impl View {
    /// Returns the profile of one model at one context length: means over the texts of its rows.
    pub(super) fn new(study: &str, context: usize, rows: &[&HeadRow]) -> Self {
        let matrix = matrix(rows.iter().map(|row| (row.layer, row.head, row.entropy_bits)), mean_of);
        let texts = unique(rows.iter().map(|row| row.text.as_str())).into_iter();
        let mean_of_text =
            |text: &str| average(rows.iter().filter(|row| row.text == text).filter_map(|r| r.entropy_bits));
        let text_means: Vec<f64> = texts.filter_map(mean_of_text).collect();
        let interval = mean(&text_means).and_then(|estimate| estimate.interval);
        let known = matrix.iter().flatten().copied().flatten();
        Self {
            profile: format!("{study}-{context}"),
            context: Some(context),
            mean: average(known).map(|value| Estimate { value, interval }),
            normalised: average(rows.iter().filter_map(|row| row.normalised_entropy)),
            matrix,
        }
    }

    /// Returns the published profile of a model.
    pub(super) fn published(profile: &PublishedEntropies) -> Self {
        let heads = profile.heads.iter().map(|head| (head.layer, head.head, head.entropy_bits));
        let matrix = matrix(heads, mean_of);
        let mean = average(matrix.iter().flatten().copied().flatten());
        let mean = mean.map(|value| Estimate { value, interval: None });
        Self { profile: "published".to_owned(), context: None, matrix, normalised: None, mean }
    }

    /// Returns the known entropies in bits, layer by layer.
    pub(super) fn known(&self) -> Vec<f64> {
        self.matrix.iter().flatten().copied().flatten().collect()
    }

    /// Returns the number of heads without a recorded entropy.
    pub(super) fn unknown(&self) -> usize {
        self.matrix.iter().flatten().filter(|value| value.is_none()).count()
    }

    /// Returns the number of heads in each class. Heads without an entropy are not counted, except those of a
    /// published profile: the publication says that they are below 0.5 bits, which makes them sinks.
    pub(super) fn classes(&self, thresholds: &Thresholds) -> ClassCounts {
        let sinks = if self.context.is_none() { self.unknown() } else { 0 };
        thresholds.count(self.known().into_iter().chain(std::iter::repeat_n(0.0, sinks)))
    }

    /// Returns statistics over all heads, or `None` if some are unknown, because the unknown heads are not a
    /// random sample.
    pub(super) fn statistics(&self) -> Option<Summary> {
        if self.unknown() > 0 { None } else { Summary::new(&self.known()) }
    }

    /// Returns the share of the known heads below 1.5 bits.
    pub(super) fn focused_share(&self) -> Option<f64> {
        let known = self.known();
        (!known.is_empty()).then(|| below(&known))
    }

    /// Returns the source of the profile, as tables name it.
    pub(super) fn source(&self) -> &str {
        if self.context.is_none() { "published entropies, recounted" } else { &self.profile }
    }

    /// Returns the context length as a cell.
    pub(super) fn context_text(&self) -> String {
        self.context.map_or_else(|| crate::format::MISSING.to_owned(), |context| context.to_string())
    }
}

/// Arranges layers, heads and values as `[layer][head]`. `of` makes one value of those of a head.
pub(super) fn matrix(
    heads: impl Iterator<Item = (usize, usize, Option<f64>)>,
    of: fn(&[f64]) -> Option<f64>,
) -> Vec<Vec<Option<f64>>> {
    let mut cells: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    // An absurd index in a damaged file must not ask for an absurd allocation.
    for (layer, head, bits) in heads.filter(|(layer, head, _)| *layer < LIMIT && *head < LIMIT) {
        cells.entry((layer, head)).or_default().extend(bits);
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
        row[head] = of(&values);
    }
    layers
}

/// Returns the mean of a slice, or `None` if it is empty.
pub(super) fn mean_of(values: &[f64]) -> Option<f64> {
    average(values.iter().copied())
}

/// Returns the mean, or `None` if there are no values.
fn average(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.into_iter().fold((0.0, 0usize), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / n as f64)
}
