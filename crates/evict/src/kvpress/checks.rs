//! What presses ask of their options and of the cache.

use crate::Shape;
pub(super) use crate::checks::{odd, window, within};

/// Refuses a cache of which the press' option `option`, now `count`, spares nothing.
pub(super) fn more_tokens_than(option: &str, count: usize, shape: Shape) -> Result<(), String> {
    let tokens = shape.tokens;
    if tokens > count {
        return Ok(());
    }
    Err(format!("it has {tokens} tokens, and kvpress asks for more than {option}={count}; lower {option}"))
}

pub(super) fn not_negative(value: &f64) -> Result<(), String> {
    within(0.0..=f64::MAX, "it is added to scores: write a number of at least 0")(value)
}

pub(super) fn a_part(value: &f64) -> Result<(), String> {
    within(0.0..=1.0, "it is a part: write a number from 0 to 1")(value)
}
