//! Reading metadata with errors that name file, key and value.

use crate::{Error, Result};

use super::{
    header::Header,
    value::{Array, Value},
};

/// A file's metadata.
pub(super) struct Keys<'a> {
    pub(super) file: &'a str,
    pub(super) header: &'a Header,
}

impl<'a> Keys<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.header.get(key)
    }

    pub(super) fn missing(&self, key: &str) -> Error {
        let reason = format!("it lacks the key `{key}`, which this model needs; convert it again");
        Error::Gguf { file: self.file.into(), reason }
    }

    pub(super) fn bad(&self, key: &str, value: impl ToString, reason: impl Into<String>) -> Error {
        Error::ConfigValue {
            file: self.file.into(),
            key: key.into(),
            value: value.to_string(),
            reason: reason.into(),
        }
    }

    /// A positive integer of at most `limit`.
    pub(super) fn size(&self, key: &str, limit: u64) -> Result<Option<usize>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Integer(n)) if (1..=i128::from(limit)).contains(n) => Ok(Some(*n as usize)),
            Some(other) => Err(self.bad(key, other, format!("but must be an integer from 1 to {limit}"))),
        }
    }

    pub(super) fn needed_size(&self, key: &str, limit: u64) -> Result<usize> {
        self.size(key, limit)?.ok_or_else(|| self.missing(key))
    }

    /// A finite number above 0. A single is read as the decimal that it was written for, such as 1e-5.
    pub(super) fn positive(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = match value {
            Value::F32(x) => x.to_string().parse().ok(),
            Value::F64(x) => Some(*x),
            Value::Integer(n) => Some(*n as f64),
            _ => None,
        };
        match number {
            Some(x) if x > 0.0 && f64::is_finite(x) => Ok(Some(x)),
            _ => Err(self.bad(key, value, "but must be a positive number")),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.bad(key, other, "but must be a truth value")),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.bad(key, other, "but must be a string")),
        }
    }

    pub(super) fn token(&self, key: &str) -> Result<Option<u32>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Integer(n)) if u32::try_from(*n).is_ok() => Ok(Some(*n as u32)),
            Some(other) => Err(self.bad(key, other, "but must be a token id")),
        }
    }

    pub(super) fn array(&self, key: &str) -> Result<Option<&'a Array>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(array)) => Ok(Some(array)),
            Some(other) => Err(self.bad(key, other, "but must be an array")),
        }
    }
}
