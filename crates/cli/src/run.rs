//! `bitkv run`: the experiments of a definition.

use std::path::{Path, PathBuf};

use anyhow::Result;
use bitkv_evict::Registry;
use bitkv_lab::grid::{Grid, GridOptions};
use bitkv_record::EXAMPLE;
use serde_json::json;

use crate::{bars::BARS, definitions, measuring, output};

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
    /// The run folder to write [default: runs/NAME of the definition]. An unfinished run there resumes.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
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
    let options = GridOptions { only: &arguments.only, progress: &BARS, ..GridOptions::default() };
    let grid = Grid::read(&path, &options, registry)?;
    if arguments.dry_run {
        return measuring::dry_run(&grid, arguments.json);
    }
    let stem = path.file_stem().map(|stem| stem.to_owned()).unwrap_or_default();
    let folder = arguments.out.clone().unwrap_or_else(|| Path::new("runs").join(stem));
    measuring::run(&grid, &folder)?.show(arguments.json)
}

fn list(arguments: &Arguments) -> Result<()> {
    let definitions = definitions::read()?;
    match arguments.json {
        true => output::json(&definitions::document(&definitions)),
        false => output::tables(&[definitions::table(&definitions)]),
    }
}
