//! `timings.csv`: what cells cost. Apart from the other rows, because no two runs take the same time.

use crate::measurement::within;
use crate::{AskedBudget, KvFormat, Row, When, grid_row::is_hash};
use serde::{Deserialize, Serialize};

/// Time and memory of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimingRow {
    /// Key of the cell, that of its [`crate::GridRow`].
    pub key: String,
    /// Name of the experiment.
    pub experiment: String,
    /// Name of the model.
    pub model: String,
    /// Policy specification.
    pub policy: String,
    /// How much was asked to be kept.
    pub budget: AskedBudget,
    /// When the cache was cut.
    pub when: When,
    /// How keys and values were stored.
    pub kv: KvFormat,
    /// Name of the text, or of the generated context.
    pub text: String,
    /// Seconds to choose what is kept.
    pub plan_seconds: f64,
    /// Seconds to score the continuation.
    pub continuation_seconds: f64,
    /// Seconds for each token decoded alone; empty where none was.
    pub decode_seconds_per_token: Option<f64>,
    /// Largest resident memory of the process until then, in bytes; empty where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// Bytes of the buffers of the cut cache.
    pub cache_bytes: u64,
}

impl Row for TimingRow {
    const KIND: &'static str = "timing";
    const COLUMNS: &'static [&'static str] = &[
        "key",
        "experiment",
        "model",
        "policy",
        "budget",
        "when",
        "kv",
        "text",
        "plan_seconds",
        "continuation_seconds",
        "decode_seconds_per_token",
        "peak_rss_bytes",
        "cache_bytes",
    ];

    fn key(&self) -> String {
        self.key.clone()
    }

    fn check(&self) -> Result<(), String> {
        is_hash("key", &self.key)?;
        within("plan_seconds", Some(self.plan_seconds), 0.0, f64::MAX)?;
        within("continuation_seconds", Some(self.continuation_seconds), 0.0, f64::MAX)?;
        within("decode_seconds_per_token", self.decode_seconds_per_token, 0.0, f64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{read_rows, write_rows};

    #[test]
    fn rows_read_back_equal_and_times_cannot_be_negative() {
        let row = TimingRow {
            key: "0123456789abcdef".into(),
            experiment: "e".into(),
            model: "m".into(),
            policy: "full".into(),
            budget: AskedBudget::Tokens(64),
            when: When::ONCE,
            kv: KvFormat::Kivi2,
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
        let late = TimingRow { plan_seconds: -1.0, ..row.clone() };
        assert!(late.check().unwrap_err().contains("plan_seconds = -1"));
        assert!(TimingRow { key: "k".into(), ..row }.check().unwrap_err().contains("key = 'k'"));
    }
}
