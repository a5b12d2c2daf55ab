//! Checks on the values of options, for the declarations of [`method!`](crate::method!).

use std::ops::RangeBounds;

use crate::Reason;

/// Refuses, for the given reason, a value outside of a range.
pub fn within<T: PartialOrd>(
    range: impl RangeBounds<T>,
    reason: &'static str,
) -> impl Fn(&T) -> Result<(), Reason> {
    move |value| if range.contains(value) { Ok(()) } else { Err(reason.into()) }
}

/// Refuses, for the given reason, an even width, which has no middle.
pub fn odd(reason: &'static str) -> impl Fn(&usize) -> Result<(), Reason> {
    move |width| if width.is_multiple_of(2) { Err(reason.into()) } else { Ok(()) }
}

/// Refuses a window of no queries.
///
/// # Errors
/// When `queries` is 0.
pub fn window(queries: &usize) -> Result<(), Reason> {
    within(1.., "a window has at least one query")(queries)
}

/// Refuses a kernel that has no middle.
///
/// # Errors
/// When `width` is even.
pub fn odd_kernel(width: &usize) -> Result<(), Reason> {
    odd("a centred kernel has an odd width")(width)
}

/// Refuses what is no part of a whole.
///
/// # Errors
/// When `value` is outside of 0..=1 or no number.
pub fn part(value: &f64) -> Result<(), Reason> {
    within(0.0..=1.0, "it must be between 0 and 1")(value)
}
