//! Reads the values of an axis from a definition.

use super::keys::{Keys, Place, named, table, text};
use crate::{Named, RecordError, When};
use toml::Value;

/// A value of an axis that a definition can list.
pub(crate) trait AxisValue: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// Fails if `value` is not a value of this axis.
    fn read(place: &Place, value: Value) -> Result<Self, RecordError>;
}

impl<T: Named> AxisValue for T {
    fn read(place: &Place, value: Value) -> Result<Self, RecordError> {
        named(place, value)
    }
}

impl AxisValue for When {
    fn read(place: &Place, value: Value) -> Result<Self, RecordError> {
        if !value.is_table() {
            let read = text(place, value)?.parse();
            return read.map_err(|reason| place.refuse(format!("{}: {reason}", place.key())));
        }
        let mut keys = Keys::new(table(value, place)?, &["prefill-chunk", "every"], place.clone())?;
        let when = When { prefill_chunk: keys.count("prefill-chunk", 1)?, every: keys.count("every", 1)? };
        match when == When::ONCE {
            true => Err(place.refuse(format!("{} has an empty table: write \"once\"", place.key()))),
            false => Ok(when),
        }
    }
}
