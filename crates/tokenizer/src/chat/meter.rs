//! Limits the memory that a template takes for the texts that it makes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use minijinja::{Error, ErrorKind, Value, value::ValueKind};

/// The reason why a template with endless texts is stopped.
pub(super) const TOO_LONG: &str = "it makes texts that are too long";

/// The largest text that one operation may make, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// Counts the bytes of the texts that a template makes.
#[derive(Clone)]
pub(super) struct Meter(Arc<AtomicUsize>);

impl Meter {
    /// Returns a meter for a number of bytes.
    pub(super) fn new(bytes: usize) -> Meter {
        Meter(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Counts bytes.
    ///
    /// # Errors
    /// Returns an error if all bytes are spent.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), Error> {
        let left = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).map(drop).map_err(|_| too_long())
    }

    /// Counts the bytes of a value and returns the value.
    ///
    /// # Errors
    /// Returns an error if all bytes are spent.
    pub(super) fn count(&self, value: Value) -> Result<Value, Error> {
        self.spend(match value.kind() {
            ValueKind::String => value.as_str().map_or(0, str::len),
            _ => value.len().unwrap_or(0).saturating_mul(16),
        })?;
        Ok(value)
    }
}

/// Checks the length of a text before it is made.
///
/// # Errors
/// Returns an error if the text is too long.
pub(super) fn check(bytes: usize) -> Result<(), Error> {
    if bytes > MOST_BYTES { Err(too_long()) } else { Ok(()) }
}

/// Returns `text` with `new` in the place of `old`, at most `count` times.
///
/// # Errors
/// Returns an error if the result is too long.
pub(super) fn replaced(text: &str, old: &str, new: &str, count: Option<usize>) -> Result<String, Error> {
    let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    let count = count.unwrap_or(found).min(found);
    check(text.len().saturating_add(count.saturating_mul(new.len())))?;
    Ok(text.replacen(old, new, count))
}

fn too_long() -> Error {
    Error::new(ErrorKind::WriteFailure, TOO_LONG)
}
