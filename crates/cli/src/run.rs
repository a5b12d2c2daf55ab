use std::path::{Path, PathBuf};

use anyhow::Result;
use bitkv_lab::grid::{self, Estimate, Grid, Study};
use bitkv_report::{Align, GridInput, Table, render_grid_terminal};
use serde_json::json;

use crate::{definitions, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A definition: a TOML file, or the name of one in `experiments/`.
    #[arg(required_unless_present = "list")]
    definition: Option<PathBuf>,
    /// List the definitions in `experiments/` and what they ask, and run nothing.
    #[arg(long)]
    list: bool,
    /// Check the definition and say how many cells it has and about what they will take, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Run only this experiment of the definition; repeat for several.
    #[arg(long, value_name = "EXPERIMENT")]
    only: Vec<String>,
    /// Where the run folder is written; an unfinished run there is taken up where it was.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Some(definition) = arguments.definition.as_deref().filter(|_| !arguments.list) else {
        return list(arguments);
    };
    let path = definitions::find(definition);
    let grid = Grid::read(&path, &arguments.only)?;
    if arguments.dry_run {
        return dry_run(arguments, &grid);
    }
    let stem = path.file_stem().map(|stem| stem.to_owned()).unwrap_or_default();
    let folder = arguments.out.clone().unwrap_or_else(|| Path::new("runs").join(stem));
    let outcome = grid::run(&grid, &folder)?;
    let failed = outcome.rows.iter().filter(|row| row.error.is_some()).count();
    if arguments.json {
        return output::json(&json!({
            "run": outcome.folder,
            "rows": outcome.rows.len(),
            "resumed": outcome.resumed,
            "failed": failed,
            "seconds": outcome.manifest.seconds,
        }));
    }
    let folder = outcome.folder.display().to_string();
    let input = GridInput {
        definition: &grid.definition,
        manifest: &outcome.manifest,
        rows: &outcome.rows,
        timings: &outcome.timings,
        heads: &outcome.heads,
        run: Some(&folder),
    };
    output::text(&render_grid_terminal(&input))?;
    output::text(&format!(
        "\n{} rows ({} from an earlier attempt, {failed} failed) in {:.0} s\nReport: {}\n",
        outcome.rows.len(),
        outcome.resumed,
        outcome.manifest.seconds,
        outcome.folder.join("report.html").display()
    ))
}

fn list(arguments: &Arguments) -> Result<()> {
    let definitions = definitions::read()?;
    match arguments.json {
        true => output::json(&definitions::document(&definitions)),
        false => output::text(&definitions::table(&definitions).to_terminal()),
    }
}

fn dry_run(arguments: &Arguments, grid: &Grid) -> Result<()> {
    let estimates = grid::estimate(grid)?;
    if arguments.json {
        let study = |s: &Study| json!({"experiment": s.name(), "model": s.model(), "rows": s.rows()});
        let studies: Vec<_> = grid.studies.iter().map(study).collect();
        return output::json(&json!({"rows": grid.rows(), "jobs": estimates, "profiles": studies}));
    }
    let columns = ["experiment", "model", "contexts", "cells each", "rows", "about", "memory"];
    let mut table = Table::new(
        format!("{}: {} rows", grid.definition.file(), grid.rows()),
        &columns.map(|c| (c, Align::Left)),
    );
    for Estimate { experiment, model, contexts, cells, rows, seconds, bytes } in estimates {
        table.push(vec![
            experiment,
            model,
            contexts.to_string(),
            cells.to_string(),
            rows.to_string(),
            format!("{seconds:.0} s"),
            format!("{:.0} MB", bytes as f64 / 1e6),
        ]);
    }
    for study in &grid.studies {
        let rows = format!("{} of heads", study.rows());
        table.push(vec![study.name().into(), study.model().into(), String::new(), String::new(), rows]);
    }
    output::text(&table.to_terminal())
}
