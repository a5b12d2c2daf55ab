//! Checks of option values, for the declarations of [`method!`](crate::method!).

use std::ops::RangeBounds;

use crate::Reason;

/// The most future positions over which a rotation is averaged. No score changes visibly beyond, and each
/// position takes time in every head.
pub const MOST_FUTURE: usize = 1 << 16;

/// Returns a check that fails with `reason` unless the value is in `range`.
pub fn within<T: PartialOrd>(
    range: impl RangeBounds<T>,
    reason: &'static str,
) -> impl Fn(&T) -> Result<(), Reason> {
    move |value| if range.contains(value) { Ok(()) } else { Err(reason.into()) }
}

/// Returns a check that fails with `reason` if a width is even: a kernel of even width has no middle.
pub fn odd(reason: &'static str) -> impl Fn(&usize) -> Result<(), Reason> {
    move |width| if width.is_multiple_of(2) { Err(reason.into()) } else { Ok(()) }
}

/// Checks the number of queries of a window.
///
/// # Errors
/// Fails if `queries` is 0.
pub fn window(queries: &usize) -> Result<(), Reason> {
    within(1.., "a window has at least one query")(queries)
}

/// Checks the width of a centred kernel.
///
/// # Errors
/// Fails if `width` is even.
pub fn odd_kernel(width: &usize) -> Result<(), Reason> {
    odd("a centred kernel has an odd width")(width)
}

/// Checks a fraction.
///
/// # Errors
/// Fails if `value` is outside 0..=1 or NaN.
pub fn fraction(value: &f64) -> Result<(), Reason> {
    within(0.0..=1.0, "it must be between 0 and 1")(value)
}
