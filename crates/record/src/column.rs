//! What is known of a column: one line of a table, from which headers, checks, lists, reports and documentation follow.

use crate::{Field, Metric, Named};

/// Which way a value is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Higher values.
    Higher,
    /// Lower values.
    Lower,
    /// Neither: it describes.
    Neither,
}

/// What a value counts, and so how it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Natural logarithms, a token.
    Nats,
    /// Binary logarithms.
    Bits,
    /// A part of a whole, 0 to 1.
    Share,
    /// The cosine of two vectors.
    Cosine,
    /// A norm as a part of another.
    Relative,
    /// Tokens.
    Tokens,
    /// Right answers.
    Answers,
    /// Keys with their values, over all layers and KV heads.
    Entries,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

/// The table's entry for a measured column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// Name of the column.
    pub name: &'static str,
    /// What a table calls it.
    pub title: &'static str,
    /// What a definition lists under `metrics` to have it; none where every run has it, if it applies.
    pub group: Option<Metric>,
    /// What it counts.
    pub unit: Unit,
    /// The smallest and largest possible value, both possible.
    pub range: (f64, f64),
    /// Which way it is better.
    pub better: Better,
    /// What it is, in one line; docs/METRICS.md has its formula and how it misleads.
    pub about: &'static str,
}

/// One column of rows of type `R`.
pub struct Column<R> {
    /// Its name in the header.
    pub name: &'static str,
    /// What is known of it where it was measured; none for what says which cell a row is of.
    pub measure: Option<Measure>,
    /// Whether a file without it is no file of these rows.
    pub(crate) required: bool,
    /// Whether the value is that of a cell that succeeded: a failed cell has none.
    pub(crate) is_result: bool,
    /// The value in a row.
    pub get: fn(&R) -> &dyn Field,
    pub(crate) get_mut: fn(&mut R) -> &mut dyn Field,
}

impl Better {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::Neither => "neither",
        }
    }
}

impl Unit {
    /// What lists call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nats => "nats per token",
            Self::Bits => "bits",
            Self::Share => "share",
            Self::Cosine => "cosine",
            Self::Relative => "part of the norm",
            Self::Tokens => "tokens",
            Self::Answers => "answers",
            Self::Entries => "entries",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
        }
    }
}

impl Measure {
    /// The range as a list shows it, such as `0..1` or `0..`.
    pub fn range_text(&self) -> String {
        match self.range {
            (low, _) if low == f64::MIN => "any".to_owned(),
            (low, high) if high == f64::MAX => format!("{low}.."),
            (low, high) => format!("{low}..{high}"),
        }
    }

    /// The name of its group; empty where it has none.
    pub fn group_name(&self) -> &'static str {
        self.group.map_or("", Named::name)
    }
}

impl<R> Column<R> {
    /// A column that any file of these rows must have and that is not measured.
    pub fn plain(
        name: &'static str,
        get: fn(&R) -> &dyn Field,
        get_mut: fn(&mut R) -> &mut dyn Field,
    ) -> Self {
        Self { name, measure: None, required: true, is_result: false, get, get_mut }
    }

    /// Whether the value in a row is possible.
    pub(crate) fn check(&self, row: &R) -> Result<(), String> {
        let Some(value) = (self.get)(row).number() else { return Ok(()) };
        let (low, high) = self.measure.map_or((f64::MIN, f64::MAX), |measure| measure.range);
        within(self.name, value, low, high)
    }
}

/// How far a value computed in single precision may leave its mathematical range.
const ROUNDING: f64 = 1e-4;

/// Checks a value; NaN is in no range, and infinity neither.
fn within(name: &str, value: f64, low: f64, high: f64) -> Result<(), String> {
    // The largest floats are not moved by this, so that infinity stays outside.
    match (low - ROUNDING..=high + ROUNDING).contains(&value) {
        true => Ok(()),
        false if low == f64::MIN && high == f64::MAX => Err(format!("{name} = {value} is not finite")),
        false => {
            let bound = if high == f64::MAX { "infinity".to_owned() } else { high.to_string() };
            Err(format!("{name} = {value} is not between {low} and {bound}"))
        }
    }
}

/// From 0, without an upper bound.
pub(crate) const FROM_ZERO: (f64, f64) = (0.0, f64::MAX);
/// From 1, without an upper bound.
pub(crate) const FROM_ONE: (f64, f64) = (1.0, f64::MAX);
/// From 0 to 1.
pub(crate) const UNIT: (f64, f64) = (0.0, 1.0);
/// Every finite number.
pub(crate) const ANY: (f64, f64) = (f64::MIN, f64::MAX);

/// A column that says which cell a row is of: its field in the row.
macro_rules! identity {
    ($field:ident) => {
        $crate::column::identity!(@ $field, None, false, false)
    };
    ($field:ident, required) => {
        $crate::column::identity!(@ $field, None, true, false)
    };
    (@ $field:ident, $measure:expr, $required:expr, $result:expr) => {
        $crate::Column {
            name: stringify!($field),
            measure: $measure,
            required: $required,
            is_result: $result,
            get: |row| &row.$field,
            get_mut: |row| &mut row.$field,
        }
    };
}

/// A measured column: its field in the row, group, title, unit, range, what is better, and what it is.
macro_rules! measure {
    (result $($rest:tt)+) => {
        $crate::column::measure!(@ true, $($rest)+)
    };
    (@ $result:expr, $field:ident, $group:expr, $title:literal, $unit:ident, $range:expr, $better:ident, $about:literal) => {
        $crate::column::identity!(@ $field, Some($crate::Measure {
            name: stringify!($field),
            title: $title,
            group: $group,
            unit: $crate::Unit::$unit,
            range: $range,
            better: $crate::Better::$better,
            about: $about,
        }), false, $result)
    };
    ($($rest:tt)+) => {
        $crate::column::measure!(@ false, $($rest)+)
    };
}
pub(crate) use {identity, measure};
