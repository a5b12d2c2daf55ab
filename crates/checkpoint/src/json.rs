//! Reads keys of a JSON object. Errors name the file, the key and the value.

use std::path::Path;

use serde_json::{Map, Value};

use crate::{Error, Result};

/// Returns the text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })
}

/// Parses a JSON text; errors call it `file`.
pub(crate) fn parse(text: &str, file: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| Error::Json { file: file.into(), reason: e.to_string() })
}

/// A JSON object and the name of its file.
pub(crate) struct Object<'a> {
    pub(crate) file: &'a str,
    map: &'a Map<String, Value>,
    prefix: &'a str,
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
        Ok(Object { file, map, prefix: "" })
    }

    /// Returns the value of a key; `None` if it is missing or null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    /// Returns whether a key is present and null.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Value::is_null)
    }

    /// Returns a nested object; `None` if the key is missing or null.
    pub(crate) fn object(&self, key: &'a str) -> Result<Option<Object<'a>>> {
        let map = self.read(key, Value::as_object, "but must be an object")?;
        Ok(map.map(|map| Object { file: self.file, map, prefix: key }))
    }

    /// Returns the error for a value of a key. `reason` continues the sentence after the value.
    pub(crate) fn bad(&self, key: &str, value: impl ToString, reason: impl Into<String>) -> Error {
        let key = if self.prefix.is_empty() { key.into() } else { format!("{}.{key}", self.prefix) };
        Error::ConfigValue { file: self.file.into(), key, value: value.to_string(), reason: reason.into() }
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

    /// Returns a finite number above 0.
    pub(crate) fn positive(&self, key: &str) -> Result<Option<f64>> {
        let positive = |value: &Value| value.as_f64().filter(|x| *x > 0.0 && x.is_finite());
        self.read(key, positive, "but must be a positive number")
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
            Value::Array(list) => list.iter().map(token_id).collect(),
            single => token_id(single).map(|id| vec![id]),
        };
        self.read(key, ids, "but must be a token id or a list of token ids")
    }
}
