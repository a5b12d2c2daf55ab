//! Checks of the presses' options and of the caches that they plan.

pub(crate) use bitkv_evict::checks::{MOST_FUTURE, fraction, odd, window, within};
use bitkv_evict::{Reason, Shape};

/// Returns an error unless the cache has more tokens than the press protects. The press protects `count`
/// tokens because of its option `option`.
pub(crate) fn more_tokens_than(option: &str, count: usize, shape: Shape) -> Result<(), Reason> {
    let tokens = shape.tokens;
    if tokens > count {
        return Ok(());
    }
    let reason = format!(
        "it has {tokens} tokens and the press needs more than {option}={count}: use a longer context, or set {option} \
         below {tokens}"
    );
    Err(reason.into())
}

/// Returns an error unless the value is at least 0.
pub(crate) fn not_negative(value: &f64) -> Result<(), Reason> {
    within(0.0..=f64::MAX, "it is added to scores: write a number of at least 0")(value)
}
