//! Counts and describes what could not be measured.

use bitkv_record::{RawRows, RecordError};
use std::collections::BTreeSet;

use crate::Result;

/// The most failed cells that are described. All are counted.
const DESCRIBED: usize = 50;

/// A cell, or a part of a profile or a memory study, that could not be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCell {
    /// The shard, such as `3/8`.
    pub shard: String,
    /// What failed and why.
    pub text: String,
}

/// The failures that were found so far.
#[derive(Default)]
pub(crate) struct Failures {
    pub(crate) count: u64,
    pub(crate) described: Vec<FailedCell>,
    pub(crate) sources: BTreeSet<u32>,
}

impl Failures {
    /// Counts a failure, and describes it if few were described.
    pub(crate) fn add(
        &mut self,
        source: u32,
        shard: String,
        text: impl FnOnce() -> Result<String, RecordError>,
    ) -> Result<()> {
        self.count += 1;
        self.sources.insert(source);
        if self.described.len() < DESCRIBED {
            self.described.push(FailedCell { shard, text: text()? });
        }
        Ok(())
    }
}

/// Describes a failed cell.
pub(crate) fn describe(line: &str, rows: &RawRows, error: &str) -> Result<String, RecordError> {
    let value = |column: &str| rows.value(line, column);
    let (experiment, policy, budget) = (value("experiment")?, value("policy")?, value("budget")?);
    Ok(format!(
        "{experiment}, {policy} of {} at budget {budget} on {}: {error}",
        value("model")?,
        value("text")?
    ))
}
