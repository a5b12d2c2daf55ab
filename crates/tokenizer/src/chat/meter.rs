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

impl Meter {
    /// Counts the items of a list or a mapping, and those of its items, and returns the value.
    ///
    /// # Errors
    /// Returns an error if all bytes are spent.
    pub(super) fn count_all(&self, value: Value) -> Result<Value, Error> {
        // Nested values are counted as often as they would be written.
        let mut rest = vec![value.clone()];
        while let Some(value) = rest.pop() {
            self.spend(16)?;
            rest.extend(items(&value));
        }
        Ok(value)
    }
}

/// The most items in which a namespace is looked for.
const MOST_ITEMS: usize = 100_000;

/// Returns whether a value is a namespace or holds one. A namespace inside itself would have no end.
///
/// # Errors
/// Returns an error if there are too many items.
pub(super) fn holds_namespace(value: &Value) -> Result<bool, Error> {
    let (mut rest, mut seen) = (vec![value.clone()], 0);
    while let Some(value) = rest.pop() {
        seen += 1;
        if is_namespace(&value) {
            return Ok(true);
        }
        if seen > MOST_ITEMS {
            return Err(too_long());
        }
        rest.extend(items(&value));
    }
    Ok(false)
}

fn is_namespace(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.type_name().contains("Namespace"))
}

/// Returns the items of a list, or the keys and values of a mapping.
fn items(value: &Value) -> Vec<Value> {
    let all = || value.try_iter().into_iter().flatten();
    match value.kind() {
        ValueKind::Seq => all().collect(),
        ValueKind::Map => all().flat_map(|key| [value.get_item(&key).unwrap_or_default(), key]).collect(),
        _ => Vec::new(),
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
