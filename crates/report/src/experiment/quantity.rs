//! One number of a row, and its mean over texts.

use crate::interval::{self, Estimate, paired_difference};
use bitkv_record::{Column, GridRow};
use std::collections::BTreeMap;

/// A number of a row, and what it weighs beside other rows of the same text and seed.
#[derive(Clone, Copy)]
pub(crate) struct Quantity {
    of: Of,
    weight: fn(&GridRow) -> f64,
}

#[derive(Clone, Copy)]
enum Of {
    Function(fn(&GridRow) -> Option<f64>),
    Column(&'static Column<GridRow>),
}

impl Quantity {
    /// KL divergence from the full cache, nats.
    pub(crate) const KL: Self = Self::new(|row| row.kl_nats);
    /// Fraction of targets with the full cache's most likely token.
    pub(crate) const AGREEMENT: Self = Self::new(|row| row.agreement);
    /// Fraction of entries kept.
    pub(crate) const KEPT: Self = Self::new(kept);
    /// Fraction of answers that were right. A text has a row for each depth: their answers and questions are summed.
    pub(crate) const ACCURACY: Self = Self { of: Of::Function(accuracy), weight: |row| row.questions as f64 };

    pub(crate) const fn new(of: fn(&GridRow) -> Option<f64>) -> Self {
        Self { of: Of::Function(of), weight: |_| 1.0 }
    }

    /// The number in a column.
    pub(crate) const fn column(column: &'static Column<GridRow>) -> Self {
        Self { of: Of::Column(column), weight: |_| 1.0 }
    }

    pub(crate) fn of(&self, row: &GridRow) -> Option<f64> {
        match self.of {
            Of::Function(of) => of(row),
            Of::Column(column) => (column.get)(row).number(),
        }
    }
}

fn accuracy(row: &GridRow) -> Option<f64> {
    let asked = (row.questions > 0).then_some(row.questions as f64)?;
    row.correct.map(|correct| correct as f64 / asked)
}

fn kept(row: &GridRow) -> Option<f64> {
    let full = row.full_entries.filter(|full| *full > 0)?;
    row.kept_entries.map(|kept| kept as f64 / full as f64)
}

/// What was measured on each text: the rows of a seed by their weight, then the mean over seeds.
pub(crate) fn by_text<'a>(rows: &[&'a GridRow], quantity: Quantity) -> BTreeMap<(&'a str, usize), f64> {
    let mut sums: BTreeMap<(&str, usize, u64), (f64, f64)> = BTreeMap::new();
    for row in rows {
        if let Some(value) = quantity.of(row) {
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

/// Mean over texts, which are what is resampled.
pub(crate) fn over_texts(rows: &[&GridRow], quantity: Quantity, seed: u64) -> Option<Estimate> {
    interval::mean(&by_text(rows, quantity).into_values().collect::<Vec<_>>(), seed)
}

/// The same without an interval.
pub(crate) fn mean_over_texts(rows: &[&GridRow], quantity: Quantity) -> Option<f64> {
    interval::point(&by_text(rows, quantity).into_values().collect::<Vec<_>>())
}

/// Mean of `own` less `other` over the texts that both have, resampled in pairs.
pub(crate) fn difference(
    own: &[&GridRow],
    other: &[&GridRow],
    quantity: Quantity,
    seed: u64,
) -> Option<Estimate> {
    let (own, other) = (by_text(own, quantity), by_text(other, quantity));
    let pairs = own.iter().filter_map(|(text, value)| Some((*value, *other.get(text)?)));
    let (own, other): (Vec<f64>, Vec<f64>) = pairs.unzip();
    paired_difference(&own, &other, seed)
}
