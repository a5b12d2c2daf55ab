//! Errors of the lines of a CSV file.

use crate::{RowError, ValueError};

/// Why a line of a file of rows cannot be read or written. The message is a clause that names the column or
/// the row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the variant and its fields are")]
pub enum LineError {
    #[error("the line is empty")]
    Empty,
    #[error("the line is incomplete")]
    Torn,
    #[error("the line is not UTF-8 text")]
    NotUtf8,
    #[error(transparent)]
    Csv(#[from] csv::Error),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("the column format does not hold a version such as 2")]
    NoFormat,
    #[error(
        "the line is of format {format}, but this version of bitkv reads formats up to {known}: use a newer bitkv"
    )]
    Newer { format: u32, known: u32 },
    #[error("the line has {found} values, but the first line has {named} columns")]
    Count { found: usize, named: usize },
    #[error(
        "the checksum is '{found}', but the values give '{expected}', so the line was changed after it was written: \
         put the original file back"
    )]
    Checksum { found: String, expected: String },
    #[error("column {column}: {reason}")]
    Value { column: &'static str, reason: Box<ValueError> },
    #[error(transparent)]
    Row(#[from] RowError),
    #[error("a value in the row of {key} has a line break")]
    LineBreak { key: String },
    #[error("the row repeats line {line} ({key})")]
    Repeats { line: u64, key: String },
    #[error("the row of {key} is already in the journal")]
    Present { key: String },
    #[error("{missing} of {all} rows are missing; the first is the row of {first}")]
    Missing { missing: usize, all: usize, first: String },
    #[error("the row of {key} belongs to no cell of this run: delete the folder of the unfinished run")]
    Foreign { key: String },
    #[error("there are more rows than contexts.csv lists")]
    Unlisted,
    #[error("{reason}: put the original file back, or run again")]
    Changed { reason: Box<LineError> },
}

impl LineError {
    /// Returns the error for a line of a finished file: the error and what to do, unless the error already
    /// says that.
    pub(crate) fn in_finished_file(self) -> Self {
        match self {
            Self::Newer { .. } | Self::Checksum { .. } => self,
            reason => Self::Changed { reason: Box::new(reason) },
        }
    }
}

/// Why the first line of a file of rows cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the variant and its fields are")]
pub enum HeaderError {
    #[error("it is not UTF-8 text: name a run folder, or put the original file back")]
    NotUtf8,
    #[error("it has the column '{column}' twice, as if two files were joined: use the original file")]
    Twice { column: String },
    #[error("another version of bitkv wrote it: use that version to merge, or run again")]
    OtherVersion,
    #[error(
        "it has no column '{column}', which every file of {kind} rows has, so it is another kind of file or its first \
         line is damaged: name a run folder, or put the original file back"
    )]
    Lacks { column: &'static str, kind: &'static str },
}
