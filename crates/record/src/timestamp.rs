//! Times as text.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time as RFC 3339 in UTC to the second, for example `2024-02-29T12:00:00Z`.
/// A time before 1970 is given as 1970-01-01T00:00:00Z: no run starts there, and a wrong clock must not stop one.
pub fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
}

/// Year, month and day of a day counted from 1970-01-01 (the proleptic Gregorian algorithm of H. Hinnant,
/// "chrono-compatible low-level date algorithms", for days not before the epoch).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468; // counted from 0000-03-01, so that a leap day ends its year
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153; // month, with March as 0
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Whether `text` has the shape `YYYY-MM-DDTHH:MM:SS[.fraction]Z`.
pub(crate) fn is_rfc3339_utc(text: &str) -> bool {
    let Some(body) = text.strip_suffix('Z') else { return false };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, "0"));
    let shaped = whole.len() == 19
        && whole.bytes().zip("dddd-dd-ddTdd:dd:dd".bytes()).all(|(found, shape)| match shape {
            b'd' => found.is_ascii_digit(),
            _ => found == shape,
        });
    shaped && !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_agree_with_the_calendar() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_709_208_000), "2024-02-29T12:00:00Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn the_shape_check_tells_utc_times_from_others() {
        assert!(is_rfc3339_utc(&rfc3339(SystemTime::now())));
        assert!(is_rfc3339_utc("2024-02-29T12:00:00.25Z"));
        for wrong in
            ["", "2024-02-29", "2024-02-29T12:00:00", "2024-02-29T12:00:00+01:00", "2024-02-29 12:00:00Z"]
        {
            assert!(!is_rfc3339_utc(wrong), "{wrong}");
        }
    }
}
