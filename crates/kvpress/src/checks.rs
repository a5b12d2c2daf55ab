//! What presses ask of their options and of the cache.

pub(crate) use bitkv_evict::checks::{odd, part, window, within};
use bitkv_evict::{Reason, Shape};

/// Refuses a cache that is no longer than the `count` tokens that the press protects by its option `option`.
pub(crate) fn more_tokens_than(option: &str, count: usize, shape: Shape) -> Result<(), Reason> {
    let tokens = shape.tokens;
    if tokens > count {
        return Ok(());
    }
    let reason =
        format!("it has {tokens} tokens, and kvpress asks for more than {option}={count}; lower {option}");
    Err(reason.into())
}

pub(crate) fn not_negative(value: &f64) -> Result<(), Reason> {
    within(0.0..=f64::MAX, "it is added to scores: write a number of at least 0")(value)
}
