//! The description of the columns of a CSV file.
//!
//! Each kind of row declares its columns once, as a table in the macro `rows!`. The header, the checks, the
//! list of metrics, the tables of reports and docs/METRICS.md all follow from this table. A [`Column`] reads
//! and writes one field of a row; a column that was measured also has a [`Measure`].

use crate::{Better, Field, MeasureUnit, MetricGroup, Named, RowError};

/// The description of a measured column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// The name of the column.
    pub name: &'static str,
    /// The heading in tables.
    pub title: &'static str,
    /// The entry of `metrics` in a definition that turns the measurement on; `None` if every run measures it
    /// where it applies.
    pub group: Option<MetricGroup>,
    /// The unit of the values.
    pub unit: MeasureUnit,
    /// The smallest and the largest possible value, both inclusive.
    pub range: (f64, f64),
    /// Whether higher or lower values are better.
    pub better: Better,
    /// What the column is, in one sentence. docs/METRICS.md has its formula and says how it can mislead.
    pub about: &'static str,
}

/// One column of rows of type `R`.
pub struct Column<R> {
    /// The name in the header.
    pub name: &'static str,
    /// The description of a measured column; `None` for a column that identifies the cell.
    pub measure: Option<Measure>,
    pub(crate) presence: Presence,
    /// Returns the value in a row.
    pub get: fn(&R) -> &dyn Field,
    pub(crate) get_mut: fn(&mut R) -> &mut dyn Field,
}

/// Whether a file must have a column, and whether a failed cell may have a value in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Every file of these rows has the column.
    Required,
    /// A file may lack the column.
    Optional,
    /// A file may lack the column, and a failed cell has no value in it.
    Result,
}

impl Measure {
    /// Returns the range as text, such as `0..1` or `0..`.
    pub fn range_text(&self) -> String {
        match self.range {
            (low, _) if low == f64::MIN => "any".to_owned(),
            (low, high) if high == f64::MAX => format!("{low}.."),
            (low, high) => format!("{low}..{high}"),
        }
    }

    /// Returns the name of the group; empty if there is no group.
    pub fn group_name(&self) -> &'static str {
        self.group.map_or("", Named::name)
    }
}

impl<R> Column<R> {
    /// Returns a column that every file of these rows has and that is not measured.
    pub const fn plain(
        name: &'static str,
        get: fn(&R) -> &dyn Field,
        get_mut: fn(&mut R) -> &mut dyn Field,
    ) -> Self {
        Self { name, measure: None, presence: Presence::Required, get, get_mut }
    }

    /// Checks that the value in a row is in the column's range.
    pub(crate) fn check(&self, row: &R) -> Result<(), RowError> {
        let Some(value) = (self.get)(row).number() else { return Ok(()) };
        let (low, high) = self.measure.map_or((f64::MIN, f64::MAX), |measure| measure.range);
        within(self.name, value, low, high)
    }
}

/// How far a value may be outside its mathematical range because of rounding in single precision.
const ROUNDING: f64 = 1e-4;

/// Checks that a value is in a range. NaN and infinity never are.
fn within(column: &'static str, value: f64, low: f64, high: f64) -> Result<(), RowError> {
    // Adding ROUNDING does not change the largest floats, so infinity stays outside.
    match (low - ROUNDING..=high + ROUNDING).contains(&value) {
        true => Ok(()),
        false if low == f64::MIN && high == f64::MAX => Err(RowError::NotFinite { column, value }),
        false => Err(RowError::OutOfRange { column, value, low, high }),
    }
}

/// Checks that a value that is not measured is in [0, 1], if there is one.
pub(crate) fn unit(column: &'static str, value: Option<f64>) -> Result<(), RowError> {
    let (low, high) = UNIT;
    match value.filter(|value| !(low..=high).contains(value)) {
        Some(value) => Err(RowError::OutOfRange { column, value, low, high }),
        None => Ok(()),
    }
}

/// The range from 0 without an upper bound.
pub(crate) const FROM_ZERO: (f64, f64) = (0.0, f64::MAX);
/// The range from 1 without an upper bound.
pub(crate) const FROM_ONE: (f64, f64) = (1.0, f64::MAX);
/// The range from 0 to 1.
pub(crate) const UNIT: (f64, f64) = (0.0, 1.0);
/// The range of the difference of two shares.
pub(crate) const DIFFERENCE: (f64, f64) = (-1.0, 1.0);
/// The range of all finite numbers.
pub(crate) const ANY: (f64, f64) = (f64::MIN, f64::MAX);

/// Declares a kind of row and, in `COLUMNS`, its columns in the order of the file. Each line has the field,
/// its type and its [`Presence`]; a measured column also has a title, a group of metrics (if any), a unit, a
/// range, the better direction, and a sentence that says what the column is and documents the field. The
/// field `axes` has one column per axis.
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
                group: [$($crate::MetricGroup::$group)?].first().copied(),
                unit: $crate::MeasureUnit::$unit,
                range: $range,
                better: $crate::Better::$better,
                about: $about,
            })?)),+];
            columns.into_iter().flatten().collect()
        });
    };
}

/// The columns of one line in [`rows`].
macro_rules! columns {
    ($row:ty, $field:ident, axes,) => {
        $crate::axes::axis_columns!($row)
    };
    ($row:ty, $field:ident, $need:ident, $($measure:expr)?) => {
        vec![$crate::Column::<$row> {
            name: stringify!($field),
            measure: [$($measure)?].first().copied(),
            presence: $crate::column::Presence::$need,
            get: |row| &row.$field,
            get_mut: |row| &mut row.$field,
        }]
    };
}
pub(crate) use {columns, rows};
