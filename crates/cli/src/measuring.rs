//! Runs a grid of experiments for `bitkv run` and `bitkv verify`: measures the rows, then writes the reports.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use bitkv_lab::{
    grid::{self, Estimate, Grid, MeasuredRun, RunOptions},
    text_use::TextUse,
};
use bitkv_record::GridRow;
use bitkv_report::{RecordedRun, Run, Table, files};
use serde_json::json;

use crate::{bars::BARS, interrupt, output, shards};

/// A finished run.
pub(crate) struct FinishedRun {
    /// What the run recorded, read back from its folder.
    pub(crate) recorded: RecordedRun,
    /// The number of rows of every kind that an earlier attempt had measured.
    pub(crate) resumed: usize,
    /// The number of rows that were taken over from other runs.
    pub(crate) reused: usize,
    /// The seconds of measuring.
    pub(crate) seconds: f64,
    pub(crate) folder: PathBuf,
    /// A sentence for each part of a profile or a memory study that could not be measured.
    pub(crate) failures: Vec<String>,
}

impl FinishedRun {
    /// Returns the number of rows of every kind.
    pub(crate) fn rows(&self) -> usize {
        let run = self.recorded.run();
        run.rows.len() + run.heads.len() + run.memory.len()
    }

    /// Returns the number of cells that failed, and of other parts that could not be measured.
    pub(crate) fn failed(&self) -> usize {
        self.recorded.run().rows.iter().filter(|row| row.error.is_some()).count() + self.failures.len()
    }

    /// Prints the report, or one JSON document.
    ///
    /// # Errors
    /// Returns an error if a part of the run failed.
    pub(crate) fn show(&self, as_json: bool) -> Result<()> {
        let (failed, rows) = (self.failed(), self.rows());
        if as_json {
            output::json(&json!({
                "run": self.folder,
                "rows": rows,
                "resumed": self.resumed,
                "reused": self.reused,
                "failed": failed,
                "seconds": self.seconds,
            }))?;
        } else {
            output::report(&self.recorded.run())?;
            output::text(&format!(
                "\n{rows} rows ({} from an earlier attempt, {failed} failed) in {:.0} s\nReport: {}\n",
                self.resumed,
                self.seconds,
                self.folder.join("report.html").display()
            ))?;
        }
        self.check_failures()
    }

    /// Returns an error if a part of the run failed, so that a script does not take the run for a complete
    /// one. The error gives the first reason.
    pub(crate) fn check_failures(&self) -> Result<()> {
        let run = self.recorded.run();
        let cells = run.rows.iter().filter_map(GridRow::failure);
        let first = cells.chain(self.failures.iter().cloned()).next();
        first.map_or(Ok(()), |first| {
            bail!(
                "{} of {} rows failed, and the others are in {}; the first is {first}",
                self.failed(),
                self.rows() + self.failures.len(),
                self.folder.display()
            )
        })
    }
}

/// Checks before long work that the run folder of `--out` is not a file. A number is added to the name of a
/// finished run, but not to that of a file.
pub(crate) fn check_out(out: &Path) -> Result<()> {
    ensure!(!out.is_file(), "--out {} is a file: name a folder for the run", out.display());
    Ok(())
}

/// Measures the rows that an earlier attempt has not measured, writes the reports, and moves the run to
/// `folder`.
pub(crate) fn run(grid: &Grid, folder: &Path) -> Result<FinishedRun> {
    run_with(grid, folder, &RunOptions::default())
}

/// Measures the rows that an earlier attempt has not measured.
pub(crate) fn measure(grid: &Grid, folder: &Path, options: &RunOptions<'_>) -> Result<MeasuredRun> {
    output::notes(&grid.notes);
    interrupt::catch()?;
    grid::run_with(grid, folder, options, &BARS).map_err(|error| interrupt::or_interrupted(error, folder))
}

/// Does the same as [`run`], with options.
pub(crate) fn run_with(grid: &Grid, folder: &Path, options: &RunOptions<'_>) -> Result<FinishedRun> {
    let measured = measure(grid, folder, options)?;
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
    let (resumed, reused, seconds) = (measured.resumed, measured.reused, measured.manifest.seconds);
    let failures = measured.failures.clone();
    let folder = measured.finish(&reports)?;
    Ok(FinishedRun { recorded: RecordedRun::read(&folder)?, resumed, reused, seconds, folder, failures })
}

/// Prints what a run would cost: rows, seconds, and memory; and the same of each of its shards, if their
/// number is given.
pub(crate) fn dry_run(grid: &Grid, shards: Option<u32>, as_json: bool) -> Result<()> {
    output::notes(&grid.notes);
    output::notes(&TextUse::notes(&grid.text_uses()));
    let estimates = grid::estimate(grid)?;
    let divided = shards.map(|count| grid::shard_estimates(grid, &estimates, count));
    if as_json {
        let mut document = serde_json::to_value(&estimates)?;
        if let (Some(divided), Some(document)) = (&divided, document.as_object_mut()) {
            document.insert("shards".to_owned(), serde_json::to_value(divided)?);
        }
        return output::json(&document);
    }
    let seconds: f64 = estimates.all().map(|estimate| estimate.seconds).sum();
    let title = format!("{}: {} rows, about {seconds:.0} s", grid.definition.file(), estimates.rows);
    let mut table = Table::titled(title, "section|model|contexts|cells per context|rows|time|memory");
    for Estimate { experiment, model, contexts, cells, rows, seconds, bytes, .. } in estimates.all() {
        table.push(vec![
            experiment.clone(),
            model.clone(),
            contexts.to_string(),
            cells.to_string(),
            rows.to_string(),
            format!("{seconds:.0} s"),
            format!("{:.0} MB", *bytes as f64 / 1e6),
        ]);
    }
    let divided = divided.as_deref().map(shards::table);
    output::tables(&[table].into_iter().chain(divided).collect::<Vec<_>>())
}
