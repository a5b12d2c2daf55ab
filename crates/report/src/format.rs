//! Formats numbers for tables. Units are in the column headings. A missing or non-finite value is `-`.

use crate::interval::Estimate;

/// The text for a missing number.
pub(crate) const MISSING: &str = "-";

/// Formats with a fixed number of decimals, without a negative zero.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    let text = format!("{value:.decimals$}");
    let is_zero = text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
    if is_zero { text.trim_start_matches('-').to_owned() } else { text }
}

/// Formats with a number of significant digits. Very small and very large numbers have a power of ten.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-4..=6).contains(&magnitude) {
        return format!("{value:.*e}", digits.saturating_sub(1));
    }
    fixed(value, (digits as i32 - 1 - magnitude).max(0) as usize)
}

/// Formats a fraction as a percentage, for columns with the heading `%`.
pub(crate) fn percent(fraction: f64) -> String {
    fixed(100.0 * fraction, 1)
}

/// Formats bytes as megabytes of 10^6 bytes, as in the published tables, for columns with the heading `MB`.
pub(crate) fn megabytes(bytes: f64) -> String {
    significant(bytes / 1e6, 4)
}

/// Formats a count or a mean of counts, with one decimal only if it needs one.
pub(crate) fn count(value: f64) -> String {
    if value.fract().abs() < 0.05 { fixed(value.round(), 0) } else { fixed(value, 1) }
}

/// Formats a value that may be missing.
pub(crate) fn optional(value: Option<f64>, print: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| MISSING.to_owned(), print)
}

/// Formats a value with its interval as `value [low, high]`.
pub(crate) fn estimate(estimate: Option<Estimate>, print: impl Fn(f64) -> String) -> String {
    let Some(Estimate { value, interval }) = estimate else { return MISSING.to_owned() };
    match interval {
        Some((low, high)) => format!("{} [{}, {}]", print(value), print(low), print(high)),
        None => print(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_their_headers_promise() {
        assert_eq!([fixed(-0.0004, 2), fixed(1.005, 1), fixed(f64::NAN, 1)], ["0.00", "1.0", "-"]);
        assert_eq!(
            [significant(0.0, 3), significant(0.012345, 3), significant(153.62, 4)],
            ["0", "0.0123", "153.6"]
        );
        assert_eq!([significant(1.234e-6, 3), significant(-5.0e8, 2)], ["1.23e-6", "-5.0e8"]);
        assert_eq!(
            [percent(0.654), megabytes(301_989_888.0), megabytes(54_321.0)],
            ["65.4", "302.0", "0.05432"]
        );
        assert_eq!([count(12.0), count(12.5)], ["12", "12.5"]);
    }

    #[test]
    fn missing_numbers_never_print_as_nan() {
        assert_eq!(optional(None, percent), "-");
        assert_eq!(significant(f64::NAN, 3), "-");
        assert_eq!(estimate(None, percent), "-");
        let bare = Estimate { value: 0.5, interval: None };
        assert_eq!(estimate(Some(bare), percent), "50.0");
        let whole = Estimate { value: 0.5, interval: Some((0.25, 1.0)) };
        assert_eq!(estimate(Some(whole), percent), "50.0 [25.0, 100.0]");
    }
}
