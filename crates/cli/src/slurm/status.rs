//! `bitkv slurm status`.

use std::path::PathBuf;

use anyhow::Result;
use bitkv_report::Table;
use bitkv_slurm::{Layout, MergeState, Record, ShardStatus, Slurm, SlurmAnswer, Status};

use crate::{output, verbosity};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The merged run, as --out of `bitkv slurm submit` names it.
    out: PathBuf,
}

pub(super) fn run(arguments: &Arguments, as_json: bool) -> Result<()> {
    let layout = Layout::new(&arguments.out)?;
    let record = Record::read(&layout)?;
    let answer = SlurmAnswer::ask(&record, Slurm).unwrap_or_else(|error| {
        verbosity::note(&format!("only the files of the shards are shown, because {error}"));
        SlurmAnswer::default()
    });
    let status = Status::new(&record, &layout, &answer);
    if as_json {
        return output::json(&status);
    }
    output::tables(&[table(&status)])?;
    output::text(&format!("\n{}\n{}\n", status.summary(), merge_line(&status)))
}

fn table(status: &Status) -> Table {
    let title = status.out.display().to_string();
    let mut table = Table::titled(title, "shard|state|>rows|>elapsed|>left|>restarts|reason");
    table.extend(status.shards.iter().map(row));
    table
}

fn row(shard: &ShardStatus) -> Vec<String> {
    let seconds = |seconds: Option<f64>| seconds.map_or(String::new(), |seconds| format!("{seconds:.0} s"));
    vec![
        shard.shard.to_string(),
        shard.state.name().to_owned(),
        format!("{} of {}", shard.rows_written, shard.rows),
        seconds(shard.seconds_elapsed.map(|seconds| seconds as f64)),
        seconds(shard.seconds_left),
        shard.restarts.to_string(),
        shard.reason.clone().unwrap_or_default(),
    ]
}

/// Returns one line about the merge job.
fn merge_line(status: &Status) -> String {
    let out = status.out.display();
    match status.merge {
        MergeState::Done => format!("The merged run is {out}."),
        MergeState::Running => "The merge job runs.".to_owned(),
        MergeState::Queued => "The merge job waits for the shards.".to_owned(),
        MergeState::Failed => {
            format!("The merge job failed, and its log says why: {}", status.merge_log.display())
        }
        MergeState::Cancelled => {
            "The merge job was cancelled: `bitkv slurm submit` submits it again.".to_owned()
        }
        MergeState::Missing => format!("No merge job is known, and there is no run {out}."),
    }
}
