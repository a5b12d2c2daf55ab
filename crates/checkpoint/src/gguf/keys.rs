//! Reads metadata keys. Errors name the file, the key and the value.

use std::ops::RangeInclusive;

use crate::{Error, Result};

use super::{
    header::Header,
    value::{Array, Value},
};

/// The metadata of a file.
pub(super) struct Keys<'a> {
    pub(super) file: &'a str,
    pub(super) header: &'a Header,
}

impl<'a> Keys<'a> {
    /// Returns the value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.header.get(key)
    }

    /// Returns the error for a required key that is missing.
    pub(super) fn missing(&self, key: &str) -> Error {
        let reason = format!("it lacks the key `{key}`, which this model needs: convert it again");
        Error::Gguf { file: self.file.into(), reason }
    }

    /// Returns the error for a value of a key. `reason` continues the sentence after the value.
    pub(super) fn bad(&self, key: &str, value: impl ToString, reason: impl Into<String>) -> Error {
        Error::ConfigValue {
            file: self.file.into(),
            key: key.into(),
            value: value.to_string(),
            reason: reason.into(),
        }
    }

    /// Returns a key's value, converted by `convert`; `None` if the key is missing.
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
    pub(super) fn size(&self, key: &str, limit: u64) -> Result<Option<usize>> {
        let size = |n: &i128| (1..=i128::from(limit)).contains(n).then_some(*n as usize);
        let reason = format!("but must be an integer from 1 to {limit}");
        self.read(key, |value| value.as_integer().and_then(size), reason)
    }

    /// Returns a positive integer of at most `limit` for a required key.
    pub(super) fn needed_size(&self, key: &str, limit: u64) -> Result<usize> {
        self.size(key, limit)?.ok_or_else(|| self.missing(key))
    }

    /// Returns a float in a range of plausible values. A single-precision value is read as its shortest
    /// decimal, such as 1e-5. An integer is refused, because llama.cpp reads only floats.
    pub(super) fn within(&self, key: &str, range: RangeInclusive<f64>) -> Result<Option<f64>> {
        let number = |value: &Value| match value {
            Value::F32(x) => x.to_string().parse().ok(),
            Value::F64(x) => Some(*x),
            _ => None,
        };
        let reason =
            format!("but must be a float from {:?} to {:?}: convert it again", range.start(), range.end());
        self.read(key, |value| number(value).filter(|x| range.contains(x)), reason)
    }

    /// Returns a boolean.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.read(key, |value| value.as_bool().copied(), "but must be true or false")
    }

    /// Returns a string.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.read(key, |value| value.as_text().map(String::as_str), "but must be a string")
    }

    /// Returns a token id; `None` if the key is missing or its value is -1, which means no token. Files that
    /// store ids without a sign hold the largest number of 32 bits.
    pub(super) fn token(&self, key: &str) -> Result<Option<u32>> {
        let id = |n: &i128| match *n {
            -1 | 0xFFFF_FFFF => Some(None),
            n => u32::try_from(n).ok().map(Some),
        };
        let token = self.read(key, |value| value.as_integer().and_then(id), "but must be a token id")?;
        Ok(token.flatten())
    }

    /// Returns an array.
    pub(super) fn array(&self, key: &str) -> Result<Option<&'a Array>> {
        self.read(key, Value::as_array, "but must be an array")
    }
}
