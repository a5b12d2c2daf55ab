//! Writes and checks times as RFC 3339 texts.

use std::time::SystemTime;

use jiff::Timestamp;

/// Returns a time as RFC 3339 in UTC, to the second, for example `2024-02-29T12:00:00Z`. A time that the
/// calendar cannot express becomes 1970-01-01T00:00:00Z, because a wrong clock must not stop a run.
pub fn rfc3339(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns whether `text` is an existing time as RFC 3339 in UTC: `YYYY-MM-DDTHH:MM:SS[.fraction]Z`.
pub(crate) fn is_rfc3339_utc(text: &str) -> bool {
    // The library also reads blanks instead of `T`, offsets, and dates without separators.
    let has_the_form =
        text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T') && text.get(4..5) == Some("-");
    has_the_form && text.parse::<Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn dates_agree_with_the_calendar() {
        let written = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(written(0), "1970-01-01T00:00:00Z");
        assert_eq!(written(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(written(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(written(1_709_208_000), "2024-02-29T12:00:00Z");
        assert_eq!(written(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(written(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(written(u64::MAX / 2), "1970-01-01T00:00:00Z");
        let later = UNIX_EPOCH + Duration::from_millis(1_709_208_000_750);
        assert_eq!(rfc3339(later), "2024-02-29T12:00:00Z");
    }

    #[test]
    fn only_existing_utc_times_are_valid() {
        assert!(is_rfc3339_utc(&rfc3339(SystemTime::now())));
        assert!(is_rfc3339_utc("2024-02-29T12:00:00.25Z"));
        for wrong in [
            "",
            "2024-02-29",
            "2024-02-29T12:00:00",
            "2024-02-29T12:00:00+01:00",
            "2024-02-29 12:00:00Z",
            "2024-99-99T99:99:99Z",
            "2023-02-29T12:00:00Z",
        ] {
            assert!(!is_rfc3339_utc(wrong), "{wrong}");
        }
    }
}
