//! `bitkv slurm`: the shards of a run as a job array of Slurm.

mod cancel;
mod plan;
mod resources;
mod status;
mod submit;

use anyhow::Result;
use bitkv_evict::Registry;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Print one JSON document on standard output.
    #[arg(long, global = true, display_order = 999)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Submit the shards of a definition that are not finished, and a job that merges them.
    Submit(Box<submit::Arguments>),
    /// Show the state of every shard, from Slurm and from the files of the shards.
    Status(status::Arguments),
    /// Cancel the jobs of a run that are in the queue. The rows of the shards stay.
    Cancel(cancel::Arguments),
}

pub(crate) fn run(arguments: &Arguments, registry: &Registry) -> Result<()> {
    match &arguments.action {
        Action::Submit(submit) => submit::run(submit, arguments.json, registry),
        Action::Status(status) => status::run(status, arguments.json),
        Action::Cancel(cancel) => cancel::run(cancel, arguments.json),
    }
}
