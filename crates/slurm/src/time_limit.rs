//! Times as Slurm reads and writes them.

/// Returns the seconds of a time: `MINUTES`, `MINUTES:SECONDS`, `HOURS:MINUTES:SECONDS`, `DAYS-HOURS`,
/// `DAYS-HOURS:MINUTES` or `DAYS-HOURS:MINUTES:SECONDS`. Returns `None` if the text is not a time.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let numbers = |part: &str| part.split(':').map(|n| n.parse::<u64>().ok()).collect::<Option<Vec<u64>>>();
    let (days, [hours, minutes, seconds]) = match text.split_once('-') {
        Some((days, rest)) => (
            days.parse().ok()?,
            match numbers(rest)?[..] {
                [hours] => [hours, 0, 0],
                [hours, minutes] => [hours, minutes, 0],
                [hours, minutes, seconds] => [hours, minutes, seconds],
                _ => return None,
            },
        ),
        None => (
            0u64,
            match numbers(text)?[..] {
                [minutes] => [0, minutes, 0],
                [minutes, seconds] => [0, minutes, seconds],
                [hours, minutes, seconds] => [hours, minutes, seconds],
                _ => return None,
            },
        ),
    };
    let hours = days.checked_mul(24)?.checked_add(hours)?;
    hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60)?.checked_add(seconds)
}

/// Whether the text asks for no limit.
pub(crate) fn is_unlimited(text: &str) -> bool {
    ["UNLIMITED", "INFINITE"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_slurm_is_read() {
        for (text, expected) in [
            ("90", 5400),
            ("0:03", 3),
            ("12:05", 725),
            ("1:30:00", 5400),
            ("2-12", 216_000),
            ("1-00:30", 88_200),
            ("1-02:03:04", 93_784),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "1h", "-5", "1:2:3:4", "a-b", "1-2:3:4:5", "99999999999999999999", "UNLIMITED"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert!(is_unlimited("infinite") && !is_unlimited("5"));
    }
}
