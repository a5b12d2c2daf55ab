//! The rows of `timings.csv`: the time and memory of each cell. They are not in `rows.csv` because they
//! differ between runs.

use crate::column::{FROM_ONE, FROM_ZERO, rows};
use crate::{AskedBudget, Axes, Column, Row, RowError, grid_row::check_hash};

rows! {
    /// The time and memory of one cell.
    TimingRow;

    /// The key of the cell, which its [`crate::GridRow`] has too.
    key: String, Required;
    /// The name of the experiment.
    experiment: String, Optional;
    /// The name of the model.
    model: String, Optional;
    /// The canonical specification of the policy.
    policy: String, Optional;
    /// The budget: how much of the cache the policy was asked to keep.
    budget: AskedBudget, Optional;
    /// The form, time of eviction, positions and KV format.
    axes: Axes, axes;
    /// The name of the text, or of the generated context.
    text: String, Optional;
    plan_seconds: f64, Optional, "planning" of Timing, Seconds, FROM_ZERO, Lower,
        "The time to choose what is kept, from what the prefill observed.";
    continuation_seconds: f64, Optional, "continuation" of Timing, Seconds, FROM_ZERO, Lower,
        "The time to read and score the tokens after the eviction.";
    /// Empty if no token was decoded.
    decode_seconds_per_token: Option<f64>, Optional, "decoding a token" of Timing, Seconds, FROM_ZERO, Lower,
        "The time to decode one token through the compressed cache.";
    /// Empty if the operating system does not report it.
    peak_rss_bytes: Option<u64>, Optional, "peak memory" of Timing, Bytes, FROM_ONE, Lower,
        "The largest resident memory of the process so far.";
    /// The size of the compressed cache in bytes.
    cache_bytes: u64, Optional;
}

impl Row for TimingRow {
    const KIND: &'static str = "timing";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn key(&self) -> String {
        self.key.clone()
    }

    fn check(&self) -> Result<(), RowError> {
        check_hash("key", &self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KvFormat, read_rows, write_rows};

    #[test]
    fn rows_read_back_equal_and_times_cannot_be_negative() {
        let row = TimingRow {
            key: "0123456789abcdef".into(),
            experiment: "e".into(),
            model: "m".into(),
            policy: "full".into(),
            budget: AskedBudget::Tokens(64),
            axes: Axes { kv: KvFormat::Kivi2, ..Axes::default() },
            text: "a".into(),
            plan_seconds: 1e-7,
            continuation_seconds: 0.25,
            decode_seconds_per_token: None,
            peak_rss_bytes: Some(1 << 30),
            cache_bytes: 640,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timings.csv");
        write_rows(&path, std::slice::from_ref(&row)).unwrap();
        assert_eq!(read_rows::<TimingRow>(&path).unwrap(), std::slice::from_ref(&row));
        let refusal = |row| write_rows(&path, &[row]).unwrap_err().to_string();
        assert!(refusal(TimingRow { plan_seconds: -1.0, ..row.clone() }).contains("plan_seconds = -1"));
        assert!(refusal(TimingRow { key: "k".into(), ..row }).contains("key = 'k'"));
    }
}
