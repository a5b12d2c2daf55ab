//! Quantities: numbers of a row, and their means over texts.

use crate::difference::Difference;
use crate::interval::{self, Estimate};
use bitkv_record::{Column, GridRow};
use std::collections::BTreeMap;

/// A number of a row, and its weight among the rows of the same text and seed.
#[derive(Clone, Copy)]
pub(crate) struct Quantity {
    source: Source,
    weight: fn(&GridRow) -> f64,
    /// The least and the largest value that the quantity can have.
    range: (f64, f64),
}

/// The range of a share.
const SHARE: (f64, f64) = (0.0, 1.0);

#[derive(Clone, Copy)]
enum Source {
    Function(fn(&GridRow) -> Option<f64>),
    Column(&'static Column<GridRow>),
}

impl Quantity {
    /// The KL divergence from the full cache, nats.
    pub(crate) const KL: Self = Self::new(|row| row.kl_nats).with_range((0.0, f64::MAX));
    /// The fraction of targets with the full cache's most likely token.
    pub(crate) const AGREEMENT: Self = Self::new(|row| row.agreement).with_range(SHARE);
    /// The fraction of entries kept.
    pub(crate) const KEPT: Self = Self::new(kept).with_range(SHARE);
    /// The fraction of right answers. A text has one row per depth, and their answers and questions are
    /// summed.
    pub(crate) const ACCURACY: Self =
        Self { source: Source::Function(accuracy), weight: |row| row.questions as f64, range: SHARE };

    /// Returns a quantity that `compute` computes from a row. `compute` returns `None` if the row does not
    /// have the quantity.
    pub(crate) const fn new(compute: fn(&GridRow) -> Option<f64>) -> Self {
        Self { source: Source::Function(compute), weight: |_| 1.0, range: (f64::MIN, f64::MAX) }
    }

    /// Returns the quantity with the least and the largest value that it can have.
    pub(crate) const fn with_range(self, range: (f64, f64)) -> Self {
        Self { range, ..self }
    }

    /// Returns the quantity that a column of the rows holds.
    pub(crate) fn column(column: &'static Column<GridRow>) -> Self {
        let range = column.measure.map_or((f64::MIN, f64::MAX), |measure| measure.range);
        Self { source: Source::Column(column), weight: |_| 1.0, range }
    }

    /// Returns the value of the quantity in a row, or `None` if the row does not have it.
    pub(crate) fn value(&self, row: &GridRow) -> Option<f64> {
        match self.source {
            Source::Function(compute) => compute(row),
            Source::Column(column) => (column.get)(row).number(),
        }
    }
}

/// Returns the fraction of right answers of a row, or `None` if nothing was asked.
fn accuracy(row: &GridRow) -> Option<f64> {
    let asked = (row.questions > 0).then_some(row.questions as f64)?;
    row.correct.map(|correct| correct as f64 / asked)
}

/// Returns the fraction of entries that a row kept.
fn kept(row: &GridRow) -> Option<f64> {
    let full = row.full_entries.filter(|full| *full > 0)?;
    row.kept_entries.map(|kept| kept as f64 / full as f64)
}

/// Returns the value of each text, by name and context length: the weighted mean of the rows of a seed, then
/// the mean over seeds.
pub(crate) fn by_text<'a>(rows: &[&'a GridRow], quantity: Quantity) -> BTreeMap<(&'a str, usize), f64> {
    let mut sums: BTreeMap<(&str, usize, u64), (f64, f64)> = BTreeMap::new();
    for row in rows {
        if let Some(value) = quantity.value(row) {
            let sum = sums.entry((row.text.as_str(), row.context_tokens, row.seed)).or_default();
            let weight = (quantity.weight)(row);
            *sum = (sum.0 + weight * value, sum.1 + weight);
        }
    }
    let mut seeds: BTreeMap<(&str, usize), (f64, f64)> = BTreeMap::new();
    for ((text, tokens, _), (sum, weight)) in sums {
        let all = seeds.entry((text, tokens)).or_default();
        *all = (all.0 + sum / weight, all.1 + 1.0);
    }
    seeds.into_iter().map(|(text, (sum, count))| (text, sum / count)).collect()
}

/// Returns the mean over texts with its interval. The interval is limited to the range of the quantity.
pub(crate) fn over_texts(rows: &[&GridRow], quantity: Quantity) -> Option<Estimate> {
    let estimate = interval::mean(&by_text(rows, quantity).into_values().collect::<Vec<_>>())?;
    let (low, high) = quantity.range;
    Some(estimate.within(low, high))
}

/// Returns the mean over texts without an interval.
pub(crate) fn mean_over_texts(rows: &[&GridRow], quantity: Quantity) -> Option<f64> {
    interval::point(&by_text(rows, quantity).into_values().collect::<Vec<_>>())
}

/// Returns `own` minus `other` on the texts that both have, or `None` if they have none in common.
pub(crate) fn difference(own: &[&GridRow], other: &[&GridRow], quantity: Quantity) -> Option<Difference> {
    let (own, other) = (by_text(own, quantity), by_text(other, quantity));
    let paired = own.iter().filter_map(|(text, value)| Some(value - other.get(text)?));
    let values: Vec<f64> = paired.collect();
    let unpaired = own.len() + other.len() - 2 * values.len();
    Difference::new(values, unpaired)
}
