//! Numbers as people read them, with about three digits.

/// Returns seconds in the unit that suits them: milliseconds to days.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        v if v < 1.0 => format!("{} ms", digits(v * 1e3)),
        v if v < 120.0 => format!("{} s", digits(v)),
        v if v < 7200.0 => format!("{} min", digits(v / 60.0)),
        v if v < 172_800.0 => format!("{} h", digits(v / 3600.0)),
        v => format!("{} d", digits(v / 86_400.0)),
    }
}

/// Returns bytes in the unit that suits them: kB to TB.
pub(crate) fn bytes(value: f64) -> String {
    match value {
        v if v < 1e6 => format!("{} kB", digits(v / 1e3)),
        v if v < 1e9 => format!("{} MB", digits(v / 1e6)),
        v if v < 1e12 => format!("{} GB", digits(v / 1e9)),
        v => format!("{} TB", digits(v / 1e12)),
    }
}

/// Returns a share in per cent.
pub(crate) fn percent(value: f64) -> String {
    format!("{} %", digits(100.0 * value))
}

/// Returns a relative error in per cent, with its sign.
pub(crate) fn error(value: f64) -> String {
    format!("{:+.1} %", 100.0 * value)
}

/// Returns a number with two or three digits.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v >= 100.0 => thousands(value),
        v if v >= 10.0 => format!("{value:.0}"),
        v if v >= 0.1 => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        v if v >= 0.001 => format!("{value:.4}").trim_end_matches('0').to_owned(),
        _ => format!("{value:.1e}"),
    }
}

/// Returns a whole number with commas between thousands.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 && digit != '-' {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_two_or_three_digits() {
        let found = [0.0, 0.00004, 0.0123, 0.5, 1.26, 12.6, 126.4, 12_600.0].map(digits);
        assert_eq!(found, ["0", "4.0e-5", "0.0123", "0.5", "1.26", "13", "126", "12,600"]);
        assert_eq!(
            [0.02, 90.0, 600.0, 9000.0, 1e6].map(seconds),
            ["20 ms", "90 s", "10 min", "2.5 h", "12 d"]
        );
        assert_eq!([5e4, 43e9, 2e13].map(bytes), ["50 kB", "43 GB", "20 TB"]);
    }
}
