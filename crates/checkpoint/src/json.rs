//! Reads keys of a JSON object. Errors name the file, the key and the value.

mod unique;

use std::{io, ops::RangeInclusive, path::Path};

use bitkv_bytes::check_values;
use serde_json::{Map, Value};

use self::unique::Unique;
use crate::{Error, Result};

/// Returns the text of a JSON file of at most `most` bytes, without a byte order mark.
pub(crate) fn read_text(path: &Path, most: u64) -> Result<String> {
    let failed = |source| Error::Read { path: path.into(), source };
    let text = bitkv_bytes::read_document(path, most).map_err(failed)?;
    check_values(text.as_bytes())
        .map_err(|reason| failed(io::Error::new(io::ErrorKind::InvalidData, reason)))?;
    Ok(text)
}

/// Parses a JSON text in which no object has a key twice; errors call it `file`.
pub(crate) fn parse(text: &str, file: &str) -> Result<Value> {
    serde_json::from_str::<Unique>(text)
        .map(|unique| unique.0)
        .map_err(|e| Error::Json { file: file.into(), reason: e.to_string() })
}

/// A JSON object and the name of its file.
pub(crate) struct Object<'a> {
    pub(crate) file: &'a str,
    map: &'a Map<String, Value>,
    /// The names of the objects that contain this one, each followed by a dot.
    prefix: String,
}

impl<'a> Object<'a> {
    /// Returns the object at the top level of a file.
    ///
    /// # Errors
    /// Returns an error if the top level is not an object.
    pub(crate) fn root(file: &'a str, value: &'a Value) -> Result<Self> {
        let map = value.as_object().ok_or_else(|| Error::Json {
            file: file.into(),
            reason: "the top level is not an object".into(),
        })?;
        Ok(Object { file, map, prefix: String::new() })
    }

    /// Returns the value of a key; `None` if it is missing or null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    /// Returns whether a key is present and null.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Value::is_null)
    }

    /// Returns all keys with their values, nulls too.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        self.map.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Returns the name of a key with the names of the objects that contain it.
    pub(crate) fn full_name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Returns a nested object; `None` if the key is missing or null.
    pub(crate) fn object(&self, key: &str) -> Result<Option<Object<'a>>> {
        let map = self.read(key, Value::as_object, "but must be an object")?;
        Ok(map.map(|map| Object { file: self.file, map, prefix: format!("{}{key}.", self.prefix) }))
    }

    /// Returns the error for a value of a key. `reason` continues the sentence after the value.
    pub(crate) fn bad(&self, key: &str, value: impl ToString, reason: impl Into<String>) -> Error {
        let (file, key) = (self.file.into(), self.full_name(key));
        Error::ConfigValue { file, key, value: value.to_string(), reason: reason.into() }
    }

    /// Returns a key's value, converted by `convert`; `None` if the key is missing or null.
    ///
    /// # Errors
    /// Returns an error if `convert` returns `None`. `reason` says what the value must be.
    fn read<T>(
        &self,
        key: &str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
        reason: impl Into<String>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        convert(value).map(Some).ok_or_else(|| self.bad(key, value, reason))
    }

    /// Returns a positive integer of at most `limit`.
    pub(crate) fn size(&self, key: &str, limit: u64) -> Result<Option<usize>> {
        let size = |value: &Value| value.as_u64().filter(|n| (1..=limit).contains(n)).map(|n| n as usize);
        self.read(key, size, format!("but must be an integer from 1 to {limit}"))
    }

    /// Returns a positive integer of at most `limit` for a required key.
    pub(crate) fn needed_size(&self, key: &'static str, limit: u64) -> Result<usize> {
        self.size(key, limit)?.ok_or_else(|| Error::MissingKey { file: self.file.into(), key })
    }

    /// Returns a number in a range of plausible values.
    pub(crate) fn within(&self, key: &str, range: RangeInclusive<f64>) -> Result<Option<f64>> {
        let reason = format!("but must be a number from {:?} to {:?}", range.start(), range.end());
        self.read(key, |value| value.as_f64().filter(|x| range.contains(x)), reason)
    }

    /// Returns a boolean.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.read(key, Value::as_bool, "but must be true or false")
    }

    /// Returns a string.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.read(key, Value::as_str, "but must be a string")
    }

    /// Returns the token ids of a key that holds one id or a list of ids.
    pub(crate) fn token_ids(&self, key: &str) -> Result<Option<Vec<u32>>> {
        let token_id = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        let ids = |value: &Value| match value {
            // Some programs write -1 for no token.
            none if none.as_i64() == Some(-1) => Some(Vec::new()),
            Value::Array(list) => list.iter().map(token_id).collect(),
            single => token_id(single).map(|id| vec![id]),
        };
        self.read(key, ids, "but must be a token id or a list of token ids")
    }
}
