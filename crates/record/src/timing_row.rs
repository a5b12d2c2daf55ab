//! `timings.csv`: what cells cost. Apart from the other rows, because no two runs take the same time.

use crate::axes::axis_columns;
use crate::column::{FROM_ONE, FROM_ZERO, identity, measure};
use crate::{AskedBudget, Axes, Column, Metric, Row, grid_row::is_hash};
use std::sync::LazyLock;

/// Time and memory of one cell.
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// Form, time of eviction, positions and KV format.
    pub axes: Axes,
    /// Name of the text, or of the generated context.
    pub text: String,
    /// See the table.
    pub plan_seconds: f64,
    /// See the table.
    pub continuation_seconds: f64,
    /// See the table; empty where no token was decoded.
    pub decode_seconds_per_token: Option<f64>,
    /// See the table; empty where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// Bytes of the buffers of the compressed cache.
    pub cache_bytes: u64,
}

const TIMING: Option<Metric> = Some(Metric::Timing);

#[rustfmt::skip]
static COLUMNS: LazyLock<Vec<Column<TimingRow>>> = LazyLock::new(|| {
    let mut columns: Vec<Column<TimingRow>> = vec![identity!(key, required), identity!(experiment), identity!(model), identity!(policy), identity!(budget)];
    let axes: Vec<Column<TimingRow>> = axis_columns!();
    let measured: Vec<Column<TimingRow>> = vec![
        identity!(text),
        measure!(plan_seconds, TIMING, "planning", Seconds, FROM_ZERO, Lower, "choosing what is kept"),
        measure!(continuation_seconds, TIMING, "continuation", Seconds, FROM_ZERO, Lower, "reading and scoring what follows the eviction"),
        measure!(decode_seconds_per_token, TIMING, "decoding a token", Seconds, FROM_ZERO, Lower, "one token decoded alone through the compressed cache"),
        measure!(peak_rss_bytes, TIMING, "peak memory", Bytes, FROM_ONE, Lower, "most memory that the process ever had resident"),
        identity!(cache_bytes),
    ];
    columns.extend(axes.into_iter().chain(measured));
    columns
});

impl Row for TimingRow {
    const KIND: &'static str = "timing";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn key(&self) -> String {
        self.key.clone()
    }

    fn check(&self) -> Result<(), String> {
        is_hash("key", &self.key)
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
        let refused = |row| write_rows(&path, &[row]).unwrap_err().to_string();
        assert!(refused(TimingRow { plan_seconds: -1.0, ..row.clone() }).contains("plan_seconds = -1"));
        assert!(refused(TimingRow { key: "k".into(), ..row }).contains("key = 'k'"));
    }
}
