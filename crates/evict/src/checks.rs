//! What is asked of the value of an option.

use std::ops::RangeBounds;

/// Refuses, for that reason, what is outside of a range.
pub(crate) fn within<T: PartialOrd>(
    range: impl RangeBounds<T>,
    reason: &'static str,
) -> impl Fn(&T) -> Result<(), String> {
    move |value| if range.contains(value) { Ok(()) } else { Err(reason.into()) }
}

/// Refuses, for that reason, a width without a middle.
pub(crate) fn odd(reason: &'static str) -> impl Fn(&usize) -> Result<(), String> {
    move |width| if width.is_multiple_of(2) { Err(reason.into()) } else { Ok(()) }
}

pub(crate) fn window(queries: &usize) -> Result<(), String> {
    within(1.., "a window has at least one query")(queries)
}

pub(crate) fn odd_kernel(width: &usize) -> Result<(), String> {
    odd("a centred kernel has an odd width")(width)
}

pub(crate) fn part(value: &f64) -> Result<(), String> {
    within(0.0..=1.0, "it must be between 0 and 1")(value)
}
