//! `bitkv slurm cancel`.

use std::path::PathBuf;

use anyhow::Result;
use bitkv_slurm::{JobId, Layout, Record, Slurm};
use serde_json::json;

use crate::output;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The merged run, as --out of `bitkv slurm submit` names it.
    out: PathBuf,
}

pub(super) fn run(arguments: &Arguments, as_json: bool) -> Result<()> {
    let record = Record::read(&Layout::new(&arguments.out)?)?;
    // scancel fails for jobs that have ended.
    let mut jobs: Vec<JobId> = Slurm.queue(&record.jobs())?.iter().map(|task| task.job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    if !jobs.is_empty() {
        Slurm.cancel(&jobs)?;
    }
    if as_json {
        return output::json(&json!({"cancelled": jobs}));
    }
    let names: Vec<String> = jobs.iter().map(JobId::to_string).collect();
    output::text(&match names.is_empty() {
        true => "No job of this run is in the queue.\n".to_owned(),
        false => format!(
            "Cancelled: {}. The rows are kept, and `bitkv slurm submit` resumes the shards.\n",
            names.join(", ")
        ),
    })
}
