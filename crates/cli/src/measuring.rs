//! What `run` and `verify` have in common: rows first, then the reports that are made of them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use bitkv_lab::grid::{self, Estimate, Grid, MemoryJob, Study};
use bitkv_report::{Align, Recorded, Run, Table, files};
use serde_json::json;

use crate::output;

/// A finished run.
pub(crate) struct Done {
    /// What it recorded, read back from its folder.
    pub(crate) recorded: Recorded,
    /// Rows of every kind that an earlier attempt had measured.
    pub(crate) resumed: usize,
    pub(crate) seconds: f64,
    pub(crate) folder: PathBuf,
}

/// Measures what is not measured yet, writes the reports and moves the run to its name.
pub(crate) fn run(grid: &Grid, folder: &Path) -> Result<Done> {
    let measured = grid::run(grid, folder)?;
    let target = measured.target().display().to_string();
    let reports = files(&Run {
        definition: &grid.definition,
        manifest: &measured.manifest,
        rows: &measured.rows,
        timings: &measured.timings,
        heads: &measured.heads,
        memory: &measured.memory,
        folder: Some(&target),
    });
    let (resumed, seconds) = (measured.resumed, measured.manifest.seconds);
    let folder = measured.finish(&reports)?;
    Ok(Done { recorded: Recorded::read(&folder)?, resumed, seconds, folder })
}

/// Says what a run would take.
pub(crate) fn dry_run(grid: &Grid, as_json: bool) -> Result<()> {
    let estimates = grid::estimate(grid)?;
    if as_json {
        let study = |s: &Study| json!({"experiment": s.name(), "model": s.model(), "rows": s.rows()});
        let memory = |m: &MemoryJob| json!({"experiment": m.name(), "model": m.model(), "rows": m.rows()});
        let profiles: Vec<_> = grid.studies.iter().map(study).collect();
        let memory: Vec<_> = grid.memory.iter().map(memory).collect();
        return output::json(
            &json!({"rows": grid.rows(), "jobs": estimates, "profiles": profiles, "memory": memory}),
        );
    }
    let columns = ["experiment", "model", "contexts", "cells each", "rows", "about", "memory"];
    let title = format!("{}: {} rows", grid.definition.file(), grid.rows());
    let mut table = Table::new(title, &columns.map(|c| (c, Align::Left)));
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
    let studies = grid.studies.iter().map(|s| (s.name(), s.model(), format!("{} of heads", s.rows())));
    let memory = grid.memory.iter().map(|m| (m.name(), m.model(), format!("{} of memory", m.rows())));
    for (name, model, rows) in studies.chain(memory) {
        table.push(vec![name.into(), model.into(), String::new(), String::new(), rows]);
    }
    output::text(&table.to_terminal())
}
