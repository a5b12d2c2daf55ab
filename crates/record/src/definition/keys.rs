//! A TOML table of which every key must be known and every value of its kind.

use crate::{DefinitionError, Named, RecordError};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Where in a definition something stands.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    file: String,
    experiment: Option<String>,
    /// Keys from the outside in, such as `calibration.tokens`; empty at the top.
    key: String,
}

impl Place {
    pub(super) fn file(file: &str) -> Self {
        Self { file: file.to_owned(), experiment: None, key: String::new() }
    }

    pub(super) fn in_experiment(&self, name: &str) -> Self {
        Self { experiment: Some(name.to_owned()), key: String::new(), ..self.clone() }
    }

    pub(super) fn at(&self, key: &str) -> Self {
        let key = if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) };
        Self { key, ..self.clone() }
    }

    /// A path in the file; what is relative begins beside the definition.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        Path::new(&self.file).parent().unwrap_or(Path::new("")).join(path)
    }

    /// The key, as a sentence begins.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn refuse(&self, reason: impl Into<DefinitionError>) -> RecordError {
        let experiment = self.experiment.as_ref().map(|name| format!(", experiment '{name}'"));
        RecordError::Definition {
            file: self.file.clone(),
            experiment: experiment.unwrap_or_default(),
            reason: Box::new(reason.into()),
        }
    }

    /// A value of the wrong kind.
    fn wrong(&self, value: &Value, expected: &str) -> RecordError {
        self.refuse(format!("{} = {} is a {}: write {expected}", self.key, shown(value), kind(value)))
    }
}

/// A table whose keys are taken one by one.
pub(crate) struct Keys {
    table: Table,
    pub(super) place: Place,
}

impl Keys {
    /// The table of an experiment or a study; its name comes first, so that every other error can say it.
    pub(super) fn named(table: Table, known: &[&str], file: &Place) -> Result<Self, RecordError> {
        let name = table.get("name").and_then(Value::as_str);
        let place = name.map_or_else(|| file.clone(), |name| file.in_experiment(name));
        Self::new(table, known, place)
    }

    /// Refuses keys that are not among `known`.
    pub(super) fn new(table: Table, known: &[&str], place: Place) -> Result<Self, RecordError> {
        match table.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                let remedy = bitkv_spelling::instead(key, known);
                Err(place.refuse(format!("there is no key '{}': remove it, or {remedy}", place.at(key).key)))
            }
            None => Ok(Self { table, place }),
        }
    }

    /// Whether the key is there and was not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn take(&mut self, key: &str) -> Option<(Value, Place)> {
        self.table.remove(key).map(|value| (value, self.place.at(key)))
    }

    pub(super) fn value<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&Place, Value) -> Result<T, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        self.take(key).map(|(value, place)| read(&place, value)).transpose()
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, RecordError> {
        self.value(key, text)
    }

    pub(super) fn path(&mut self, key: &str) -> Result<Option<PathBuf>, RecordError> {
        self.value(key, |place, value| Ok(place.path(&text(place, value)?)))
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, RecordError> {
        self.value(key, |place, value| {
            value.as_bool().ok_or_else(|| place.wrong(&value, "true or false, without quotes"))
        })
    }

    /// A whole number of at least `least`.
    pub(super) fn count(&mut self, key: &str, least: usize) -> Result<Option<usize>, RecordError> {
        self.value(key, |place, value| count(place, value, least))
    }

    /// A value that must be given, such as `example`.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        example: &str,
        read: impl FnOnce(&Place, Value) -> Result<T, RecordError>,
    ) -> Result<T, RecordError> {
        self.value(key, read)?.ok_or_else(|| {
            let key = self.place.at(key).key;
            self.place.refuse(format!("{key} is missing: add a line such as {key} = {example}"))
        })
    }

    /// A list without repeats that is not empty; `default` where the key is not given, and none if it must be.
    pub(crate) fn list<T: PartialEq>(
        &mut self,
        key: &str,
        default: Option<Vec<T>>,
        read: impl Fn(&Place, Value) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        if let (false, Some(default)) = (self.has(key), default) {
            return Ok(default);
        }
        let mut list = Vec::new();
        for (place, value) in self.entries(key)? {
            let shown = shown(&value);
            let entry = read(&place, value)?;
            if list.contains(&entry) {
                return Err(place.refuse(format!("{} lists {shown} twice: list it once", place.key)));
            }
            list.push(entry);
        }
        Ok(list)
    }

    /// The tables of a list that may be absent.
    pub(super) fn tables<T>(
        &mut self,
        key: &str,
        read: impl Fn(Table) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        match self.has(key) {
            true => self.entries(key)?.map(|(place, value)| read(table(value, &place)?)).collect(),
            false => Ok(Vec::new()),
        }
    }

    /// The entries of a list that must be there and not empty, each with the list's place.
    pub(super) fn entries(
        &mut self,
        key: &str,
    ) -> Result<impl Iterator<Item = (Place, Value)> + use<>, RecordError> {
        let Some((value, place)) = self.take(key) else {
            let key = self.place.at(key).key;
            return Err(self.place.refuse(format!("{key} is missing: give it, with at least one entry")));
        };
        match value {
            Value::Array(values) if values.is_empty() => {
                Err(place.refuse(format!("{} = [] is empty: list at least one value", place.key)))
            }
            Value::Array(values) => Ok(values.into_iter().map(move |value| (place.clone(), value))),
            other => Err(place.wrong(&other, "a list in brackets")),
        }
    }
}

pub(super) fn text(place: &Place, value: Value) -> Result<String, RecordError> {
    match value {
        Value::String(text) if text.trim().is_empty() => {
            Err(place.refuse(format!("{} has an empty text: write it or leave the key out", place.key)))
        }
        Value::String(text) => Ok(text),
        other => Err(place.wrong(&other, "a text in quotes")),
    }
}

pub(super) fn count(place: &Place, value: Value, least: usize) -> Result<usize, RecordError> {
    let number = value.as_integer().ok_or_else(|| place.wrong(&value, "a whole number"))?;
    usize::try_from(number).ok().filter(|number| *number >= least).ok_or_else(|| {
        place.refuse(format!("{} = {number} cannot be: write a whole number of at least {least}", place.key))
    })
}

pub(super) fn table(value: Value, place: &Place) -> Result<Table, RecordError> {
    match value {
        Value::Table(table) => Ok(table),
        other => Err(place.wrong(&other, "a table")),
    }
}

/// One of a few names.
pub(super) fn named<T: Named>(place: &Place, value: Value) -> Result<T, RecordError> {
    T::from_name(&text(place, value)?).map_err(|reason| place.refuse(format!("{}: {reason}", place.key)))
}

/// A value as a sentence shows it: in one line, and not too much of it.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string().replace(['\n', '\r'], " ");
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "whole number",
        Value::Float(_) => "number",
        Value::Boolean(_) => "truth value",
        Value::Datetime(_) => "date",
        Value::Array(_) => "list",
        Value::Table(_) => "table",
    }
}
