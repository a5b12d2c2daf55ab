//! Reads numbers of bytes with units, such as `64 KiB`.

use crate::ValueError;

/// The units of bytes, the largest first.
pub(crate) const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a whole number of bytes, such as `64KiB`, `64 KiB`, `65536 B` or `65536`. The units are B, KiB, MiB
/// and GiB.
///
/// # Errors
/// Fails if the text is not such a number, or the number does not fit in 64 bits.
pub fn parse_bytes(text: &str) -> Result<u64, ValueError> {
    let bytes = split(text).and_then(|(number, unit)| match unit {
        "" => Some(number),
        unit => bytes(number, unit),
    });
    bytes.ok_or_else(|| ValueError::NotBytes { text: text.to_owned() })
}

/// Splits a text into a whole number and its unit, with or without a space between them.
pub(crate) fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// Returns `number` units in bytes; `None` if the unit is unknown or the result does not fit in 64 bits.
pub(crate) fn bytes(number: u64, unit: &str) -> Option<u64> {
    let (_, size) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_with_and_without_space_and_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65536),
            ("65536B", 65536),
            ("65536 B", 65536),
            ("64KiB", 65536),
            ("64 KiB", 65536),
            (" 64  KiB ", 65536),
            ("2MiB", 2 << 20),
            ("3 GiB", 3 << 30),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn invalid_numbers_of_bytes_are_errors() {
        for text in [
            "",
            " ",
            "KiB",
            "-1",
            "+1",
            "1.5MiB",
            "10 kB",
            "10 kib",
            "10 KB",
            "64 KiB each",
            "64 tokens",
            "0x10",
            "99999999999GiB",
            "18446744073709551616",
        ] {
            let message = parse_bytes(text).unwrap_err().to_string();
            assert!(message.starts_with(&format!("'{text}' is not a number of bytes: write")), "{message}");
        }
    }
}
