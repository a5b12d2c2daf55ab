//! The rows of `contexts.csv`: which contexts of the whole run a shard measured. `bitkv merge` puts the rows
//! of all shards into the order of the whole run by these rows.

use crate::column::rows;
use crate::{Column, Row, RowError};

rows! {
    /// One context of a shard, and the number of its lines in the files of the shard. The contexts of a shard
    /// have the order of the whole run.
    ContextRow;

    /// The number of the context in the whole run, from 0.
    context: usize, Required;
    /// The name of the file with its rows: `rows.csv`, `heads.csv` or `memory.csv`.
    file: String, Required;
    /// The name of the experiment, the profile or the memory study.
    study: String, Required;
    /// The name of the model.
    model: String, Required;
    /// The name of the text or of the generated context; for a memory study, the length in tokens.
    text: String, Required;
    /// The number of rows that the context has if nothing fails.
    expected: usize, Required;
    /// The number of rows in `file`.
    rows: usize, Required;
    /// The number of rows in `timings.csv`.
    timings: usize, Required;
}

impl Row for ContextRow {
    const KIND: &'static str = "context";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn key(&self) -> String {
        self.context.to_string()
    }

    fn check(&self) -> Result<(), RowError> {
        match self.rows <= self.expected {
            true => Ok(()),
            false => Err(RowError::MoreThanExpected { rows: self.rows, expected: self.expected }),
        }
    }
}
