//! `slurm.json`: what was submitted.

use std::{io::ErrorKind, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, JobId, Layout, Plan, Result};

/// What was submitted for a run: the definition, the shards, and the jobs of every submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The definition, as it was named.
    pub definition: PathBuf,
    /// The hash of the bytes of the definition.
    pub definition_sha256: String,
    /// The folder in which the jobs run.
    pub directory: PathBuf,
    /// The merged run.
    pub out: PathBuf,
    /// What every shard was expected to cost.
    pub shards: Plan,
    /// The submissions, the latest last.
    pub submissions: Vec<SubmittedJobs>,
}

/// The jobs of one submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmittedJobs {
    /// The time of the submission, as RFC 3339 in UTC.
    pub submitted: String,
    /// The shards that were submitted.
    pub shards: Vec<usize>,
    /// The number of the array job. `None` if all shards were finished.
    pub array_job: Option<JobId>,
    /// The number of the merge job. `None` if it could not be submitted.
    pub merge_job: Option<JobId>,
}

impl SubmittedJobs {
    /// Returns the numbers of the jobs.
    pub fn jobs(&self) -> Vec<JobId> {
        self.array_job.into_iter().chain(self.merge_job).collect()
    }
}

impl Record {
    /// Reads the file of a run. Returns `None` if nothing was submitted.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid.
    pub fn find(layout: &Layout) -> Result<Option<Self>> {
        let path = layout.record();
        match bitkv_bytes::read_bytes(&path, bitkv_bytes::limit::WRITTEN) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map(Some).map_err(|source| Error::Record { path, source })
            }
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    /// Reads the file of a run.
    ///
    /// # Errors
    /// When nothing was submitted, or the file cannot be read or is not valid.
    pub fn read(layout: &Layout) -> Result<Self> {
        let out = || layout.out().display().to_string();
        Self::find(layout)?.ok_or_else(|| Error::NotSubmitted { out: out(), record: layout.record() })
    }

    /// Writes the file and replaces an earlier one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, layout: &Layout) -> Result<()> {
        let path = layout.record();
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|source| Error::Record { path: path.clone(), source })?;
        text.push('\n');
        bitkv_bytes::write(&path, text.as_bytes()).map_err(|source| Error::Write { path, source })
    }

    /// Checks that a submission continues this one.
    ///
    /// # Errors
    /// When the definition or the number of shards differs.
    pub fn check_same(&self, definition: &str, sha256: &str, shards: usize) -> Result<()> {
        let out = self.out.display().to_string();
        if self.definition_sha256 != sha256 {
            return Err(Error::OtherDefinition { definition: definition.to_owned(), out });
        }
        match self.shards.shards() {
            submitted if submitted == shards => Ok(()),
            submitted => Err(Error::OtherShards { asked: shards, submitted, out }),
        }
    }

    /// Returns the numbers of the jobs of the latest submission. Earlier jobs have ended.
    pub fn jobs(&self) -> Vec<JobId> {
        self.submissions.last().map(SubmittedJobs::jobs).unwrap_or_default()
    }
}
