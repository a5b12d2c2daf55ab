//! A [`Claim`] says that a shard has the rows of a context.

use bitkv_record::ContextRow;

/// The files of rows, without timings. A claim names one of them by its index.
pub(crate) const FILES: [&str; 3] = ["rows.csv", "heads.csv", "memory.csv"];

/// The rows of one context in one shard. Claims are small, because a run may have millions of contexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The number of the context in the whole run.
    pub(crate) context: u32,
    /// The number of the shard in the list of shards.
    pub(crate) source: u32,
    /// The number of rows.
    pub(crate) rows: u32,
    /// The number of timings.
    pub(crate) timings: u32,
    /// The index of the file in [`FILES`].
    pub(crate) file: u8,
    /// Whether all rows that were expected are there.
    pub(crate) complete: bool,
}

impl Claim {
    pub(crate) fn new(row: &ContextRow, file: u8) -> Claim {
        Claim {
            context: row.context as u32,
            source: 0,
            rows: row.rows as u32,
            timings: row.timings as u32,
            file,
            complete: row.rows == row.expected,
        }
    }
}

/// A context of a profile or a memory study that failed, so that rows are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartlyMeasured {
    pub(crate) source: u32,
    pub(crate) context: u32,
    /// What failed, as a sentence without a full stop.
    pub(crate) text: String,
}

impl PartlyMeasured {
    pub(crate) fn new(row: &ContextRow) -> PartlyMeasured {
        let ContextRow { study, model, text, rows, expected, .. } = row;
        let text = format!("{study}, {model} on {text}: {rows} of {expected} rows were measured");
        PartlyMeasured { source: 0, context: row.context as u32, text }
    }
}
