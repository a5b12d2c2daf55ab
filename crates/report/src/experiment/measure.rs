//! The measures that tables show: quantities with their units and formats.

use super::quantity::{Quantity, mean_over_texts, over_texts};
use crate::format::{MISSING, estimate, fixed, megabytes, optional, percent, significant};
use crate::interval::Estimate;
use crate::table::Table;
use bitkv_record::{Better, Column, GridRow, Metric, Named, Row, Unit};

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

pub(super) const KL: Measure = Measure::new(Better::Lower, "KL", "nats", Quantity::KL, three).with_interval();
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
const SHOWN: [&str; 3] = ["kl_nats", "kept_entries", "correct"];

/// All other measures of the table of columns, for those who read on.
pub(super) fn particulars() -> Vec<Measure> {
    let columns = GridRow::columns().iter().filter(|column| !SHOWN.contains(&column.name));
    columns.filter_map(of_column).chain([PERPLEXITY, BITS_PER_BYTE]).collect()
}

/// A column that is better one way or the other.
fn of_column(column: &'static Column<GridRow>) -> Option<Measure> {
    let measure = column.measure.filter(|measure| measure.better != Better::Neither)?;
    let (unit, print): (&str, fn(f64) -> String) = match measure.unit {
        Unit::Nats => ("nats", |value| fixed(value, 4)),
        Unit::Share => ("%", percent),
        Unit::Cosine => ("%", |value| fixed(100.0 * value, 2)),
        Unit::Bytes => ("MB", megabytes),
        Unit::Tokens => ("tokens", |value| fixed(value, 1)),
        unit => (unit.name(), three),
    };
    let (title, quantity, better) = (measure.title, Quantity::column(column), measure.better);
    Some(Measure { title, unit, quantity, print, interval: measure.group == Some(Metric::Kl), better })
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

    /// What a table of its differences shows.
    pub(super) fn less(&self, other: &str) -> String {
        // A difference of two percentages is no percentage.
        let unit = if self.unit == "%" { "percentage points" } else { self.unit };
        format!("{} less that of {other}, {unit}{}", self.title, self.mark())
    }

    /// Returns the mean over texts as a cell of a table, with its interval if the measure shows one.
    pub(super) fn cell(&self, rows: &[&GridRow], seed: u64) -> String {
        match self.interval {
            true => estimate(over_texts(rows, self.quantity, seed), self.print),
            false => self.point(rows),
        }
    }

    /// Returns the mean over texts as a cell, without an interval.
    pub(super) fn point(&self, rows: &[&GridRow]) -> String {
        optional(mean_over_texts(rows, self.quantity), self.print)
    }

    /// Returns whether any of the rows has the quantity.
    pub(super) fn is_in(&self, rows: &[&GridRow]) -> bool {
        rows.iter().any(|row| self.quantity.of(row).is_some())
    }
}

pub(super) fn three(value: f64) -> String {
    significant(value, 3)
}

/// A difference with its interval, and `*` where that excludes zero.
pub(super) fn marked(difference: Option<Estimate>, measure: &Measure) -> String {
    let Some(found) = difference else { return MISSING.to_owned() };
    let clear = found.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0);
    format!("{}{}", estimate(difference, measure.print), if clear { " *" } else { "" })
}

/// How a table of differences is to be read.
pub(super) fn tell(table: &mut Table, measure: &Measure) {
    let better = if measure.better == Better::Lower { "Below" } else { "Above" };
    table.note(format!("{better} zero the first of the two is better. {DIFFERENCES}"));
}

/// How differences come about; said below every table of them.
pub(super) const DIFFERENCES: &str = "Differences are paired by text; * marks a 95 % interval that excludes zero, not \
corrected for the number of comparisons.";
