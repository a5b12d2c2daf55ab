//! Reads a memory study of a definition: bytes by context length instead of policies.

use super::MemoryStudy;
use super::keys::{Keys, Place, count, named, text};
use crate::{Accounting, Form, RecordError};
use toml::Table;

const KEYS: [&str; 5] = ["name", "models", "forms", "contexts", "accounting"];

pub(super) fn read(table: Table, file: &Place) -> Result<MemoryStudy, RecordError> {
    let place = match table.get("name").and_then(toml::Value::as_str) {
        Some(name) => file.in_experiment(name),
        None => file.clone(),
    };
    let mut keys = Keys::new(table, &KEYS, place)?;
    let name = keys.text("name")?;
    Ok(MemoryStudy {
        name: keys.required("name", name, "\"memory\"")?,
        models: keys.list("models", None, text)?,
        forms: keys.list("forms", Some(vec![Form::True]), named)?,
        contexts: keys.list("contexts", None, |place, value| count(place, value, 1))?,
        accounting: keys.list("accounting", Some(vec![Accounting::Published, Accounting::Actual]), named)?,
    })
}
