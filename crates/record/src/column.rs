//! What is known of a column: one line of a table, from which headers, checks, lists, reports and
//! documentation follow.

use crate::{Better, Field, Metric, Named, RowError, Unit};

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
    pub(crate) need: Need,
    /// The value in a row.
    pub get: fn(&R) -> &dyn Field,
    pub(crate) get_mut: fn(&mut R) -> &mut dyn Field,
}

/// Where a column must be, and where it must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A file without it is no file of these rows.
    Required,
    /// A file may lack it.
    Optional,
    /// A file may lack it, and a cell that failed has no value.
    Result,
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
    pub const fn plain(
        name: &'static str,
        get: fn(&R) -> &dyn Field,
        get_mut: fn(&mut R) -> &mut dyn Field,
    ) -> Self {
        Self { name, measure: None, need: Need::Required, get, get_mut }
    }

    /// Whether the value in a row is possible.
    pub(crate) fn check(&self, row: &R) -> Result<(), RowError> {
        let Some(value) = (self.get)(row).number() else { return Ok(()) };
        let (low, high) = self.measure.map_or((f64::MIN, f64::MAX), |measure| measure.range);
        within(self.name, value, low, high)
    }
}

/// How far a value computed in single precision may leave its mathematical range.
const ROUNDING: f64 = 1e-4;

/// Checks a value; NaN is in no range, and infinity neither.
fn within(column: &'static str, value: f64, low: f64, high: f64) -> Result<(), RowError> {
    // The largest floats are not moved by this, so that infinity stays outside.
    match (low - ROUNDING..=high + ROUNDING).contains(&value) {
        true => Ok(()),
        false if low == f64::MIN && high == f64::MAX => Err(RowError::NotFinite { column, value }),
        false => Err(RowError::OutOfRange { column, value, low, high }),
    }
}

/// Checks a value that is not measured, where there is one: 0 to 1, both possible.
pub(crate) fn unit(column: &'static str, value: Option<f64>) -> Result<(), RowError> {
    let (low, high) = UNIT;
    match value.filter(|value| !(low..=high).contains(value)) {
        Some(value) => Err(RowError::OutOfRange { column, value, low, high }),
        None => Ok(()),
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

/// Declares a kind of row and, in `COLUMNS`, its columns in the order of the file: field, type, need, and of
/// what is measured title, group of metrics (if any), unit, range, what is better, and what it is, which also
/// documents the field. `axes` has a column for each axis.
///
/// What follows from a line: the header, the checks, `bitkv list metrics`, the tables of reports and the
/// table in docs/METRICS.md.
macro_rules! rows {
    (
        $(#[$row_doc:meta])* $row:ident;
        $($(#[$doc:meta])* $field:ident: $type:ty, $need:ident
            $(, $title:literal $(of $group:ident)?, $unit:ident, $range:expr, $better:ident,
                $about:literal)?;)+
    ) => {
        $(#[$row_doc])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $row {
            $($(#[doc = $about] #[doc = ""])? $(#[$doc])* pub $field: $type,)+
        }

        static COLUMNS: std::sync::LazyLock<Vec<$crate::Column<$row>>> = std::sync::LazyLock::new(|| {
            let columns = [$($crate::column::columns!($row, $field, $need, $($crate::Measure {
                name: stringify!($field),
                title: $title,
                group: [$($crate::Metric::$group)?].first().copied(),
                unit: $crate::Unit::$unit,
                range: $range,
                better: $crate::Better::$better,
                about: $about,
            })?)),+];
            columns.into_iter().flatten().collect()
        });
    };
}

/// The columns of one line of [`rows`].
macro_rules! columns {
    ($row:ty, $field:ident, axes,) => {
        $crate::axes::axis_columns!($row)
    };
    ($row:ty, $field:ident, $need:ident, $($measure:expr)?) => {
        vec![$crate::Column::<$row> {
            name: stringify!($field),
            measure: [$($measure)?].first().copied(),
            need: $crate::column::Need::$need,
            get: |row| &row.$field,
            get_mut: |row| &mut row.$field,
        }]
    };
}
pub(crate) use {columns, rows};
