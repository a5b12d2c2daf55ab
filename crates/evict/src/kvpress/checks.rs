//! What presses ask of their options and of the cache.

use crate::Shape;

/// Refuses a cache of which the press' option `option`, now `count`, spares nothing.
pub(super) fn more_tokens_than(option: &str, count: usize, shape: Shape) -> Result<(), String> {
    let tokens = shape.tokens;
    if tokens > count {
        return Ok(());
    }
    Err(format!("it has {tokens} tokens, and kvpress asks for more than {option}={count}; lower {option}"))
}

pub(super) fn not_negative(value: f64) -> Result<(), String> {
    let fits = value.is_finite() && value >= 0.0;
    if fits { Ok(()) } else { Err("it is added to scores: write a number of at least 0".into()) }
}

pub(super) fn a_part(value: f64) -> Result<(), String> {
    let fits = (0.0..=1.0).contains(&value);
    if fits { Ok(()) } else { Err("it is a part: write a number from 0 to 1".into()) }
}
