//! Reading keys of a JSON object with errors that name file, key and value.

use serde_json::{Map, Value};

use crate::{Error, Result};

/// A JSON object and the file it came from.
pub(crate) struct Object<'a> {
    pub(crate) file: &'a str,
    map: &'a Map<String, Value>,
    prefix: &'a str,
}

impl<'a> Object<'a> {
    pub(crate) fn root(file: &'a str, value: &'a Value) -> Result<Self> {
        let map = value.as_object().ok_or_else(|| Error::Json {
            file: file.into(),
            reason: "the top level is not an object".into(),
        })?;
        Ok(Object { file, map, prefix: "" })
    }

    /// A key that is present and not null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    /// Whether a key is there and null.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Value::is_null)
    }

    /// A nested object; null and absence are the same.
    pub(crate) fn object(&self, key: &'a str) -> Result<Option<Object<'a>>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Object { file: self.file, map, prefix: key })),
            Some(other) => Err(self.bad(key, other, "but must be an object")),
        }
    }

    pub(crate) fn bad(&self, key: &str, value: &Value, reason: impl Into<String>) -> Error {
        let key = if self.prefix.is_empty() { key.into() } else { format!("{}.{key}", self.prefix) };
        Error::ConfigValue { file: self.file.into(), key, value: value.to_string(), reason: reason.into() }
    }

    /// A positive integer of at most `limit`.
    pub(crate) fn size(&self, key: &str, limit: u64) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64() {
            Some(n) if (1..=limit).contains(&n) => Ok(Some(n as usize)),
            _ => Err(self.bad(key, value, format!("but must be an integer from 1 to {limit}"))),
        }
    }

    pub(crate) fn needed_size(&self, key: &'static str, limit: u64) -> Result<usize> {
        self.size(key, limit)?.ok_or_else(|| Error::MissingKey { file: self.file.into(), key })
    }

    /// A finite number above 0.
    pub(crate) fn positive(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_f64() {
            Some(x) if x > 0.0 && x.is_finite() => Ok(Some(x)),
            _ => Err(self.bad(key, value, "but must be a positive number")),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.bad(key, value, "but must be true or false"))
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.bad(key, value, "but must be a string"))
    }

    /// One token id or a list of them.
    pub(crate) fn token_ids(&self, key: &str) -> Result<Option<Vec<u32>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let one = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        let ids = match value {
            Value::Array(list) => list.iter().map(one).collect::<Option<Vec<u32>>>(),
            single => one(single).map(|id| vec![id]),
        };
        ids.map(Some).ok_or_else(|| self.bad(key, value, "but must be a token id or a list of token ids"))
    }
}
