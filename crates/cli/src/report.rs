use std::path::PathBuf;

use anyhow::Result;
use bitkv_lab::grid;
use bitkv_report::render_grid_terminal;

use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A finished run folder of `bitkv run`.
    run: PathBuf,
    /// Write report.md, report.html and figures anew; the rows stay as they are.
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let run = grid::read_run(&arguments.run)?;
    if arguments.write {
        grid::render(&arguments.run, &run)?;
    }
    output::text(&render_grid_terminal(&run.input()))
}
