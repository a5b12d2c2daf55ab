//! The measures that tables show: quantities with their units and formats.

use super::quantity::{Quantity, mean_over_texts, over_texts};
use crate::format::{estimate, fixed, megabytes, optional, percent, significant};
use crate::interval::Estimate;
use crate::table::Table;
use bitkv_record::{Better, Column, GridRow, MeasureUnit, MetricGroup, Named, Row};

/// A quantity of a row, as tables show it.
#[derive(Clone, Copy)]
pub(super) struct Measure {
    /// The name that tables and figures show.
    title: &'static str,
    /// The unit of the printed values; empty if they have no unit.
    unit: &'static str,
    pub(super) quantity: Quantity,
    print: fn(f64) -> String,
    /// Whether tables show the interval.
    interval: bool,
    better: Better,
}

pub(super) const KL: Measure =
    Measure::new(Better::Lower, "KL", "nats", Quantity::KL, three_digits).with_interval();
pub(super) const AGREEMENT: Measure =
    Measure::new(Better::Higher, "agreement", "%", Quantity::AGREEMENT, percent).with_interval();
pub(super) const ACCURACY: Measure =
    Measure::new(Better::Higher, "answers right", "%", Quantity::ACCURACY, percent).with_interval();
pub(super) const KEPT: Measure = Measure::new(Better::Lower, "entries kept", "%", Quantity::KEPT, percent);
/// The perplexity per token.
const PERPLEXITY: Measure =
    Measure::new(Better::Lower, "perplexity", "", Quantity::new(|row| row.nll_nats), |nll| {
        significant(nll.exp(), 4)
    })
    .with_interval();
/// The bits per byte of the scored text.
const BITS_PER_BYTE: Measure =
    Measure::new(Better::Lower, "bits per byte", "", Quantity::new(bits_per_byte), |bits| fixed(bits, 3));

/// The columns that have tables of their own.
const SHOWN: [&str; 5] = ["kl_nats", "kept_entries", "correct", "answer_evicted", "answer_heads"];
/// The columns about the tokens of answers.
const ABOUT_ANSWERS: [&str; 2] = ["answer_evicted", "answer_heads"];

/// Returns the measures of what became of the tokens of the answers.
pub(super) fn answer_measures() -> Vec<Measure> {
    let columns = GridRow::columns().iter().filter(|column| ABOUT_ANSWERS.contains(&column.name));
    columns.filter_map(from_column).collect()
}

/// The columns that a chart can show besides KL, agreement and right answers, in the order of its choice.
const CHARTED: [&str; 7] = [
    "nll_difference",
    "kl_p99",
    "output_error",
    "attention_cosine",
    "retained_mass",
    "matching_fraction",
    "first_divergence",
];

/// Returns the measures that a chart can show besides KL, agreement and right answers.
pub(super) fn charted_measures() -> Vec<Measure> {
    let find = |name: &&str| GridRow::columns().iter().find(|column| column.name == *name);
    CHARTED.iter().filter_map(find).filter_map(from_column).collect()
}

/// Returns all other measures, for the folded tables.
pub(super) fn other_measures() -> Vec<Measure> {
    let columns = GridRow::columns().iter().filter(|column| !SHOWN.contains(&column.name));
    columns.filter_map(from_column).chain([PERPLEXITY, BITS_PER_BYTE]).collect()
}

/// Returns the measure of a column, or `None` if neither high nor low values of the column are better.
fn from_column(column: &'static Column<GridRow>) -> Option<Measure> {
    let measure = column.measure.filter(|measure| measure.better != Better::Neither)?;
    let (unit, print): (&str, fn(f64) -> String) = match measure.unit {
        MeasureUnit::Nats => ("nats", |value| fixed(value, 4)),
        MeasureUnit::Share => ("%", percent),
        MeasureUnit::Cosine => ("%", |value| fixed(100.0 * value, 2)),
        MeasureUnit::Bytes => ("MB", megabytes),
        MeasureUnit::Tokens => ("tokens", |value| fixed(value, 1)),
        unit => (unit.name(), three_digits),
    };
    let (title, quantity, better) = (measure.title, Quantity::column(column), measure.better);
    Some(Measure { title, unit, quantity, print, interval: measure.group == Some(MetricGroup::Kl), better })
}

/// Returns the bits per byte of the scored text of a row.
fn bits_per_byte(row: &GridRow) -> Option<f64> {
    Some(row.nll_nats? * row.targets as f64 / std::f64::consts::LN_2 / row.bytes_scored? as f64)
}

impl Measure {
    /// Returns a measure whose interval is not shown.
    const fn new(
        better: Better,
        title: &'static str,
        unit: &'static str,
        quantity: Quantity,
        print: fn(f64) -> String,
    ) -> Self {
        Self { title, unit, quantity, print, interval: false, better }
    }

    /// Returns the measure with its interval shown.
    const fn with_interval(self) -> Self {
        Self { interval: true, ..self }
    }

    /// Returns the name without the unit.
    pub(super) fn name(&self) -> &'static str {
        self.title
    }

    /// Returns whether high or low values are better.
    pub(super) fn better(&self) -> Better {
        self.better
    }

    /// Returns the unit for the label of an axis, `, nats`. It is empty for percentages, which axes show as
    /// fractions.
    pub(super) fn axis_unit(&self) -> String {
        if matches!(self.unit, "" | "%") { String::new() } else { format!(", {}", self.unit) }
    }

    /// Returns the title of a table: the name, the unit, and whether intervals are shown.
    pub(super) fn title(&self) -> String {
        format!("{}{}", self.with_unit(), self.mark())
    }

    /// Returns the name with the unit.
    pub(super) fn with_unit(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(", {}", self.unit) };
        format!("{}{unit}", self.title)
    }

    /// Returns the suffix of titles, which says that intervals are shown.
    fn mark(&self) -> &'static str {
        if self.interval { " [95 % CI]" } else { "" }
    }

    /// Returns the title of a table of differences from `other`.
    pub(super) fn difference_title(&self, other: &str) -> String {
        format!("{} minus that of {other}, {}{}", self.title, self.difference_unit(), self.mark())
    }

    /// Returns a value as tables print it.
    pub(super) fn print(&self, value: f64) -> String {
        (self.print)(value)
    }

    /// Returns a mean with its interval as tables print it.
    pub(super) fn print_estimate(&self, found: Estimate) -> String {
        estimate(Some(found), self.print)
    }

    /// Returns whether a difference, first minus second, favours the first.
    pub(super) fn is_better(&self, difference: f64) -> bool {
        match self.better {
            Better::Lower => difference < 0.0,
            _ => difference > 0.0,
        }
    }

    /// Returns the heading of a column of differences, `KL, nats`.
    pub(super) fn difference_heading(&self) -> String {
        let unit = self.difference_unit();
        if unit.is_empty() { self.title.to_owned() } else { format!("{}, {unit}", self.title) }
    }

    /// Returns the unit of differences as the end of a number, ` nats`.
    pub(super) fn difference_suffix(&self) -> String {
        let unit = self.difference_unit();
        if unit.is_empty() { String::new() } else { format!(" {unit}") }
    }

    /// Returns the unit of differences. The difference of two percentages is in percentage points.
    fn difference_unit(&self) -> &'static str {
        if self.unit == "%" { "percentage points" } else { self.unit }
    }

    /// Returns the mean over texts as a cell of a table, with its interval if the measure shows one.
    pub(super) fn cell(&self, rows: &[&GridRow]) -> String {
        match self.interval {
            true => estimate(over_texts(rows, self.quantity), self.print),
            false => self.point(rows),
        }
    }

    /// Returns the mean over texts as a cell, without an interval.
    pub(super) fn point(&self, rows: &[&GridRow]) -> String {
        optional(mean_over_texts(rows, self.quantity), self.print)
    }

    /// Returns whether any of the rows has the quantity.
    pub(super) fn is_in(&self, rows: &[&GridRow]) -> bool {
        rows.iter().any(|row| self.quantity.value(row).is_some())
    }
}

/// Formats with three significant digits.
pub(super) fn three_digits(value: f64) -> String {
    significant(value, 3)
}

/// Adds the note that says how to read a table of differences from baselines.
pub(super) fn explain_baseline(table: &mut Table, measure: &Measure) {
    let better = if measure.better == Better::Lower { "below" } else { "above" };
    table
        .note(format!("A value {better} zero means that the policy of the row is better than its baseline."));
}
