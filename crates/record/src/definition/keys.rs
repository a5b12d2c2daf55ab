//! Takes the keys of a TOML table one by one. An unknown key or a value of the wrong type is an error that
//! says where it is.

use crate::gap::Gaps;
use crate::{DefinitionError, Named, RecordError};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The most entries of a list, and the most sections of a kind. More would only take time: each is compared
/// with all others, and measured.
const MOST_ENTRIES: usize = 1000;
/// The most tokens of a context. No model reads as many, and their bytes can be counted in 64 bits.
const MOST_TOKENS: usize = 1 << 26;

/// A place in a definition, for errors: the file, the section and the key.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    file: String,
    /// The section, such as `experiment 'NAME'`; empty at the top.
    section: String,
    /// The keys from the outermost to the innermost, such as `calibration.tokens`; empty at the top.
    key: String,
    /// Whether the value at this place is an entry of the list with this key.
    in_list: bool,
}

impl Place {
    /// Returns the place at the top of a file.
    pub(super) fn file(file: &str) -> Self {
        Self { file: file.to_owned(), section: String::new(), key: String::new(), in_list: false }
    }

    /// Returns the place at the top of a section in this file. `kind` is the key of its list, such as
    /// `experiment`.
    pub(super) fn in_section(&self, kind: &str, name: &str) -> Self {
        Self { section: format!("{kind} '{name}'"), ..Self::file(&self.file) }
    }

    /// Returns the place at the top of a section without a name.
    fn in_unnamed_section(&self, kind: &str) -> Self {
        Self { section: format!("a section [[{kind}]]"), ..Self::file(&self.file) }
    }

    /// Returns the place of a key in the table at this place.
    pub(super) fn at(&self, key: &str) -> Self {
        let key = if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) };
        Self { key, in_list: false, ..self.clone() }
    }

    /// Returns the place of the entries of the list at this place.
    fn for_entries(&self) -> Self {
        Self { in_list: true, ..self.clone() }
    }

    /// Returns the start of a message about the value: `seeds = 3 is`, or `seeds lists 3, which is`.
    fn value_is(&self, value: &str) -> String {
        match self.in_list {
            true => format!("{} lists {value}, which is", self.key),
            false => format!("{} = {value} is", self.key),
        }
    }

    /// Returns the path that `path` names in a definition. A relative path starts in the folder of the
    /// definition.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        Path::new(&self.file).parent().unwrap_or(Path::new("")).join(path)
    }

    /// Returns the key, such as `calibration.tokens`.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Returns an error at this place.
    pub(super) fn refuse(&self, reason: impl Into<DefinitionError>) -> RecordError {
        let comma = if self.section.is_empty() { "" } else { ", " };
        RecordError::Definition {
            file: self.file.clone(),
            section: format!("{comma}{}", self.section),
            reason: Box::new(reason.into()),
        }
    }

    /// Returns the error for a value with the wrong type; `expected` says what to write.
    pub(super) fn wrong_type(&self, value: &Value, expected: &str) -> RecordError {
        self.refuse(format!("{} a {}: write {expected}", self.value_is(&shown(value)), type_name(value)))
    }
}

/// A TOML table whose keys are taken one by one.
pub(crate) struct Keys {
    table: Table,
    pub(super) place: Place,
}

impl Keys {
    /// Returns the keys of an experiment or a study; `kind` is the key of its list, such as `experiment`. Its
    /// name is read first, so that every other error can include it.
    pub(super) fn named(table: Table, known: &[&str], kind: &str, file: &Place, gaps: &mut Gaps) -> Self {
        let name = table.get("name").and_then(Value::as_str);
        let place = name.map_or_else(|| file.in_unnamed_section(kind), |name| file.in_section(kind, name));
        Self::with_gaps(table, known, place, gaps)
    }

    /// Returns the keys of a table that may have only the keys `known`. Each other key is a gap. If it is a
    /// misspelt known key that is missing, its value is read as the value of that key.
    pub(super) fn with_gaps(mut table: Table, known: &[&str], place: Place, gaps: &mut Gaps) -> Self {
        let unknown: Vec<String> =
            table.keys().filter(|key| !known.contains(&key.as_str())).cloned().collect();
        for key in unknown {
            gaps.add(unknown_key(&key, known, &place));
            let value = table.remove(&key);
            let meant = bitkv_spelling::nearest(&key, known.iter().copied());
            if let (Some(meant), Some(value)) = (meant, value) {
                table.entry(meant).or_insert(value);
            }
        }
        Self { table, place }
    }

    /// Returns the keys of a table that may have only the keys `known`.
    ///
    /// # Errors
    /// Fails if the table has another key.
    pub(super) fn new(table: Table, known: &[&str], place: Place) -> Result<Self, RecordError> {
        match table.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(unknown_key(key, known, &place)),
            None => Ok(Self { table, place }),
        }
    }

    /// Returns whether the table has the key and the key was not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn take(&mut self, key: &str) -> Option<(Value, Place)> {
        self.table.remove(key).map(|value| (value, self.place.at(key)))
    }

    /// Takes a key and reads its value; `None` if the table does not have the key.
    pub(super) fn value<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&Place, Value) -> Result<T, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        self.take(key).map(|(value, place)| read(&place, value)).transpose()
    }

    /// Takes a key whose value is a string that is not empty.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, RecordError> {
        self.value(key, text)
    }

    /// Takes a key whose value is a path; see [`Place::path`].
    pub(super) fn path(&mut self, key: &str) -> Result<Option<PathBuf>, RecordError> {
        self.value(key, |place, value| Ok(place.path(&text(place, value)?)))
    }

    /// Takes a key whose value is a boolean.
    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, RecordError> {
        self.value(key, |place, value| {
            value.as_bool().ok_or_else(|| place.wrong_type(&value, "true or false, without quotes"))
        })
    }

    /// Takes a key whose value is a whole number of at least `least`.
    pub(super) fn count(&mut self, key: &str, least: usize) -> Result<Option<usize>, RecordError> {
        self.value(key, |place, value| count(place, value, least))
    }

    /// Takes a key that must be given. If it is missing, the error shows `example` as its value.
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

    /// Takes a key whose value is a list that is not empty and has no value twice. If the key is missing,
    /// returns `default`, or an error if there is no default.
    pub(crate) fn list<T: PartialEq>(
        &mut self,
        key: &str,
        default: Option<Vec<T>>,
        read: impl Fn(&Place, Value) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        if let (false, Some(default)) = (self.has(key), default) {
            return Ok(default);
        }
        let (mut list, mut gaps) = (Vec::new(), Gaps::default());
        for (place, value) in self.entries(key)? {
            let shown = shown(&value);
            match read(&place, value) {
                Err(error) => gaps.add(error),
                Ok(entry) if list.contains(&entry) => {
                    gaps.add(place.refuse(format!("{} lists {shown} twice: list it once", place.key)));
                }
                Ok(entry) => list.push(entry),
            }
        }
        gaps.result(list)
    }

    /// Takes a key whose value is a list of tables. Returns an empty list if the key is missing. A value of
    /// another type is a gap.
    pub(super) fn tables(&mut self, key: &'static str, gaps: &mut Gaps) -> Vec<Table> {
        if !self.has(key) {
            return Vec::new();
        }
        let entries = self.entries(key).map(Iterator::collect::<Vec<_>>);
        let entries = gaps.value(key, entries, Vec::new());
        let read = |(place, value)| table(value, &place).map_err(|error| gaps.add(error)).ok();
        entries.into_iter().filter_map(read).collect()
    }

    /// Takes a key whose value is a list, and returns its entries with the place of the list.
    ///
    /// # Errors
    /// Fails if the key is missing or the list is empty.
    pub(super) fn entries(
        &mut self,
        key: &str,
    ) -> Result<impl Iterator<Item = (Place, Value)> + use<>, RecordError> {
        let Some((value, place)) = self.take(key) else {
            let key = self.place.at(key).key;
            return Err(self.place.refuse(format!("{key} is missing: add a list with at least one value")));
        };
        match value {
            Value::Array(values) if values.is_empty() => {
                Err(place.refuse(format!("{} = [] is empty: list at least one value", place.key)))
            }
            Value::Array(values) if values.len() > MOST_ENTRIES => Err(place.refuse(format!(
                "{} has {} entries: write at most {MOST_ENTRIES}, and divide the definition into several",
                place.key,
                values.len()
            ))),
            Value::Array(values) => Ok(values.into_iter().map(move |value| (place.for_entries(), value))),
            other => Err(place.wrong_type(&other, "a list in brackets")),
        }
    }
}

/// Returns the error for a key that no table at this place has.
fn unknown_key(key: &str, known: &[&str], place: &Place) -> RecordError {
    let remedy = bitkv_spelling::suggestion(key, known);
    place.refuse(format!("there is no key '{}': remove it, or {remedy}", place.at(key).key))
}

/// Reads a string that is not empty.
pub(super) fn text(place: &Place, value: Value) -> Result<String, RecordError> {
    match value {
        Value::String(text) if text.trim().is_empty() => {
            Err(place.refuse(format!("{} has an empty string: write a value or remove it", place.key)))
        }
        Value::String(text) => Ok(text),
        other => Err(place.wrong_type(&other, "a string in quotes")),
    }
}

/// Reads a whole number of at least `least` that counts tokens or other things.
pub(super) fn count(place: &Place, value: Value, least: usize) -> Result<usize, RecordError> {
    let number = whole(place, value, least)?;
    at_most(place, number, MOST_TOKENS)
}

/// Reads a seed, which may be any whole number of at least 0.
pub(super) fn seed(place: &Place, value: Value) -> Result<u64, RecordError> {
    whole(place, value, 0).map(|seed| seed as u64)
}

/// Reads a whole number of at least `least`.
fn whole(place: &Place, value: Value, least: usize) -> Result<usize, RecordError> {
    let number = value.as_integer().ok_or_else(|| place.wrong_type(&value, "a whole number"))?;
    usize::try_from(number).ok().filter(|number| *number >= least).ok_or_else(|| {
        place.refuse(format!(
            "{} too small: write a whole number of at least {least}",
            place.value_is(&number.to_string())
        ))
    })
}

/// Reads a whole number of at least 1 and at most `most`.
pub(super) fn count_up_to(place: &Place, value: Value, most: usize) -> Result<usize, RecordError> {
    at_most(place, whole(place, value, 1)?, most)
}

/// Returns the number, or an error if it is more than `most`.
fn at_most(place: &Place, number: usize, most: usize) -> Result<usize, RecordError> {
    match number <= most {
        true => Ok(number),
        false => Err(place.refuse(format!(
            "{} too large: write a whole number of at most {most}",
            place.value_is(&number.to_string())
        ))),
    }
}

/// Reads a number with or without a decimal point.
pub(super) fn number(place: &Place, value: Value) -> Result<f64, RecordError> {
    let whole = value.as_integer().map(|number| number as f64);
    value.as_float().or(whole).ok_or_else(|| place.wrong_type(&value, "a number"))
}

/// Reads a table.
pub(super) fn table(value: Value, place: &Place) -> Result<Table, RecordError> {
    match value {
        Value::Table(table) => Ok(table),
        other => Err(place.wrong_type(&other, "a table")),
    }
}

/// Reads one of the names of `T`.
pub(super) fn named<T: Named>(place: &Place, value: Value) -> Result<T, RecordError> {
    T::from_name(&text(place, value)?).map_err(|reason| place.refuse(format!("{}: {reason}", place.key)))
}

/// Returns a value as messages show it: on one line, shortened to 60 characters.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string().replace(['\n', '\r'], " ");
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Returns the name of a value's type, for messages.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Integer(_) => "whole number",
        Value::Float(_) => "number",
        Value::Boolean(_) => "boolean",
        Value::Datetime(_) => "date",
        Value::Array(_) => "list",
        Value::Table(_) => "table",
    }
}
