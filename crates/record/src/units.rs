//! Reads numbers of bytes with units, such as `64 KiB`.

use crate::ValueError;

/// The units of bytes, the largest first.
pub(crate) const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// The units of powers of ten, which options accept.
const DECIMAL_UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];

/// Reads a number of bytes, such as `64KiB`, `2.5 MB`, `65536 B` or `65536`. The units are B, those of powers
/// of 1000 (kB, MB and GB) and those of powers of 1024 (KiB, MiB and GiB). Decimals need a unit above B; a
/// part of a byte is left out.
///
/// # Errors
/// Fails if the text is not such a number, or the number does not fit in 64 bits.
pub fn parse_bytes(text: &str) -> Result<u64, ValueError> {
    decimal_bytes(text.trim()).ok_or_else(|| ValueError::NotBytes { text: text.to_owned() })
}

/// Returns the bytes of a number that may have decimals and a unit; `None` if it is not such a number.
fn decimal_bytes(text: &str) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let name = unit.trim_start();
    let size = match name {
        "" => 1,
        name => UNITS.iter().chain(&DECIMAL_UNITS).find(|(other, _)| *other == name)?.1,
    };
    let Some((whole, decimals)) = number.split_once('.') else {
        return number.parse::<u64>().ok()?.checked_mul(size);
    };
    // More decimals than these do not change a byte, and powers of ten must fit into 128 bits.
    let has_decimals = size > 1 && (1..=18).contains(&decimals.len());
    let scale = 10u128.checked_pow(u32::try_from(decimals.len()).ok().filter(|_| has_decimals)?)?;
    let part = u128::from(decimals.parse::<u64>().ok()?) * u128::from(size) / scale;
    whole.parse::<u64>().ok()?.checked_mul(size)?.checked_add(u64::try_from(part).ok()?)
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
            ("10 kB", 10_000),
            ("2.5MB", 2_500_000),
            ("0.9175 MB", 917_500),
            ("1GB", 1_000_000_000),
            ("1.5MiB", 3 << 19),
            ("0.1KiB", 102),
            ("18.4 GB", 18_400_000_000),
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
            "1.5",
            "1.5 B",
            "1.MiB",
            ".5MiB",
            "1.2.3MiB",
            "1,5MiB",
            "1e3kB",
            "0.1234567890123456789MB",
            "10 kib",
            "10 KB",
            "10 mb",
            "99999999999.5GB",
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
