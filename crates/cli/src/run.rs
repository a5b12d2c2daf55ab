//! `bitkv run`: the experiments of a definition.

use std::path::{Path, PathBuf};

use anyhow::Result;
use bitkv_evict::Registry;
use bitkv_lab::{
    Snapshots,
    grid::{self, Grid, GridOptions, RunOptions},
};
use bitkv_record::{EXAMPLE, Shard};
use serde_json::json;

use crate::{bars::BARS, definitions, interrupt, limit::RunLimitArguments, measuring, output, shards};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The definition: a TOML file, or the name of one in `experiments/`.
    #[arg(required_unless_present_any = ["list", "example"])]
    definition: Option<PathBuf>,
    /// Print a definition with all keys of an experiment and comments, and run nothing.
    #[arg(long)]
    example: bool,
    /// List the definitions in `experiments/` with their questions, and run nothing.
    #[arg(long)]
    list: bool,
    /// Check the definition, estimate its rows, time and memory, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Run only this experiment of the definition. Repeat the option for several experiments.
    #[arg(long, value_name = "EXPERIMENT")]
    only: Vec<String>,
    /// The run folder to write [default: runs/NAME of the definition; for a shard
    /// runs/NAME.shards/I-of-N]. An unfinished run there resumes.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Measure only shard I of N, numbered from 1. The shards divide the contexts by their estimated cost,
    /// each writes a run of its own, and `bitkv merge` joins them.
    #[arg(long, value_name = "I/N", conflicts_with = "dry_run")]
    shard: Option<Shard>,
    /// With --dry-run, also estimate each of N shards.
    #[arg(long, value_name = "N", requires = "dry_run", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    shards: Option<u32>,
    /// A folder of prefilled contexts and entropies that shards, later runs and other machines share. Any
    /// number of processes may use it at once.
    #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
    snapshots: Option<PathBuf>,
    /// A finished run or shard whose rows are taken over where nothing changed that they depend on. Failed
    /// cells are measured again. Repeat the option for several runs.
    #[arg(long, value_name = "RUN", conflicts_with = "dry_run")]
    reuse: Vec<PathBuf>,
    /// Do nothing if the run is already finished, instead of refusing.
    #[arg(long, conflicts_with = "dry_run")]
    if_needed: bool,
    #[command(flatten)]
    limit: RunLimitArguments,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, registry: &Registry) -> Result<()> {
    if arguments.example {
        return match arguments.json {
            true => output::json(&json!({"definition": EXAMPLE})),
            false => output::text(EXAMPLE),
        };
    }
    let Some(definition) = arguments.definition.as_deref().filter(|_| !arguments.list) else {
        return list(arguments);
    };
    let path = definitions::find(definition)?;
    let folder = folder(arguments, &path);
    if !arguments.dry_run {
        // A time limit may come while the models are loaded.
        interrupt::catch_time_limit()?;
    }
    let cell_seconds = arguments.limit.cell_seconds()?;
    let options =
        GridOptions { only: &arguments.only, progress: &BARS, cell_seconds, ..GridOptions::default() };
    let grid = Grid::read(&path, &options, registry)?;
    if arguments.dry_run {
        return measuring::dry_run(&grid, arguments.shards, arguments.json);
    }
    if arguments.if_needed && grid::is_finished(&grid, &folder, arguments.shard)? {
        return shards::already_finished(&folder, arguments.json);
    }
    let snapshots = arguments.snapshots.as_deref().map(Snapshots::open).transpose()?;
    grid::check_resources(&grid, &folder, arguments.limit.memory())?;
    let options =
        RunOptions { shard: arguments.shard, reuse: &arguments.reuse, snapshots: snapshots.as_ref() };
    match arguments.shard {
        None => measuring::run_with(&grid, &folder, &options)?.show(arguments.json),
        Some(shard) => shards::run(&grid, &folder, shard, &options, arguments.json),
    }
}

/// Returns the folder of the run.
fn folder(arguments: &Arguments, definition: &Path) -> PathBuf {
    let name = definition.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let runs = Path::new("runs");
    let default = || match arguments.shard {
        None => runs.join(&name),
        Some(shard) => Shard::folder_of(&runs.join(&name)).join(shard.folder_name()),
    };
    arguments.out.clone().unwrap_or_else(default)
}

fn list(arguments: &Arguments) -> Result<()> {
    let definitions = definitions::read()?;
    match arguments.json {
        true => output::json(&definitions::document(&definitions)),
        false => output::tables(&[definitions::table(&definitions)]),
    }
}
