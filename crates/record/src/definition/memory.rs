//! Reads a section `[[memory]]` of a definition: a table of bytes by context length.

use super::MemoryStudy;
use super::keys::{Keys, Place, count, named, text};
use super::listed_model::models;
use crate::{Accounting, Form, RecordError};
use toml::Table;

pub(super) const KEYS: [&str; 5] = ["name", "models", "forms", "contexts", "accounting"];

/// Reads a memory study.
pub(super) fn read(table: Table, file: &Place) -> Result<MemoryStudy, RecordError> {
    let mut keys = Keys::named(table, &KEYS, "memory", file)?;
    Ok(MemoryStudy {
        name: keys.required("name", "\"memory\"", text)?,
        models: models(&mut keys)?,
        forms: keys.list("forms", Some(vec![Form::True]), named)?,
        contexts: keys.list("contexts", None, |place, value| count(place, value, 1))?,
        accounting: keys.list("accounting", Some(vec![Accounting::Published, Accounting::Actual]), named)?,
    })
}
