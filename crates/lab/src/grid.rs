//! Runs an experiment: every policy at every budget on every context. Each context is prefilled once, and an
//! interrupted run resumes after any row.
//!
//! ```text
//! Definition -> Grid -> Job (experiment x model x form) -> Unit (context) x Cell (policy x budget x axes)
//!            -> Context + OwnedObservation (one prefill per Unit)
//!            -> UnitMeasurer -> batches of Cells -> Evictor (compressed caches) -> GridRow -> Journal
//! ```
//!
//! [`Grid::read`] resolves a `Definition`: it loads every model, parses every policy, tokenises every text
//! and checks every budget, so that mistakes are found before anything is computed. The [`Grid`] has one
//! [`Job`] for every experiment, model and form. A job has [`Unit`]s (a context, and what is scored after it)
//! and [`Cell`]s (a policy at a budget, with its axes); every cell is measured on every unit. [`run`] takes
//! the units that lack rows. For each it prefills a `Context`, whose `OwnedObservation` is all that policies
//! may read. A `UnitMeasurer` then measures the missing cells in batches: an `Evictor` makes a compressed
//! copy of the cache for each cell of a batch, the scored tokens are read through all these copies together,
//! and each cell gives one `GridRow` (for questions, one per depth or per quarter of the context). Rows go
//! into the run's `Journal` at once. A row is identified by a hash of everything that its numbers depend on,
//! so a later run of the same definition measures only what is missing.
//!
//! Head entropies ([`ProfileJob`]) and memory tables ([`MemoryJob`]) of a definition are measured by the same
//! run.
//!
//! With [`RunOptions`], a run measures one shard of the [`contexts`](contexts()), shares prefills with other
//! processes in a folder of [`Snapshots`], and takes over the rows of earlier runs.

mod base_rows;
mod batch;
mod code;
mod contexts;
mod cost;
mod deadline;
mod estimate;
mod free_running;
mod gaps;
mod in_parallel;
mod job;
mod key;
mod loaded_models;
mod measure;
mod memory;
mod output_error;
mod peak;
mod prefill;
mod profiles;
mod reused;
mod selection;
pub(crate) mod sources;
mod storage;
mod unit;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use bitkv_evict::Planner;
use bitkv_models::provenance;
use bitkv_progress::{Progress, Work};
use bitkv_record::{
    FileHash, GridRow, HeadRow, Journal, Manifest, MemoryRow, MetricGroup, ModelEntry, RecordError,
    ResumableRun, Row, Shard, ShardEntry, TimingRow, sha256_of_parts,
};
use rayon::prelude::*;
use serde_json::json;

use crate::{
    Result, Snapshots,
    error::{Place as _, bail, ensure},
    text_use::TextUse,
};
use base_rows::BaseRows;
use contexts::Share;
pub use contexts::{Part, WorkContext, contexts};
pub use estimate::{Estimate, Estimates, ShardEstimate, estimate, shard_estimates};
use in_parallel::{SMALL_VOCABULARY, locked};
pub use job::{Cell, Grid, GridOptions, Job, SeededPolicy};
use key::{Keys, UnitKeys};
use measure::{SharedResults, UnitMeasurer};
pub use memory::MemoryJob;
pub use peak::check_resources;
use prefill::{CalibratedHeads, Prefill, calibrate};
pub use profiles::ProfileJob;
use reused::Reused;
pub use sources::CalibrationSources;
pub use unit::{QuestionGroup, Scored, Unit};

/// Which part of a grid is measured, and what is taken over from other processes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions<'a> {
    /// The shard to measure; `None` to measure everything.
    pub shard: Option<Shard>,
    /// Folders of finished runs, whose good rows are not measured again.
    pub reuse: &'a [PathBuf],
    /// A folder of prefills and entropies that is shared with other processes.
    pub snapshots: Option<&'a Snapshots>,
}

/// Everything that a run measured. [`MeasuredRun::finish`] moves the run's folder to its final name.
#[derive(Debug)]
pub struct MeasuredRun {
    /// The rows of the cells, in the order of the definition.
    pub rows: Vec<GridRow>,
    /// The time that each cell took; empty unless the definition asks for timings.
    pub timings: Vec<TimingRow>,
    /// The entropies of heads; empty unless the definition has profiles.
    pub heads: Vec<HeadRow>,
    /// Bytes by context length; empty unless the definition has memory studies.
    pub memory: Vec<MemoryRow>,
    /// The number of rows that an earlier attempt measured, timings not counted.
    pub resumed: usize,
    /// The number of rows, without timings, that were taken over from other runs.
    pub reused: usize,
    /// A sentence for each part of a profile or a memory study that could not be measured. Its rows are
    /// missing; a cell that failed has a row with its error instead.
    pub failures: Vec<String>,
    /// The record of what was run.
    pub manifest: Manifest,
    run: ResumableRun,
}

impl MeasuredRun {
    /// Returns the folder where the run will be when it is finished.
    pub fn target(&self) -> &Path {
        self.run.target()
    }

    /// Writes further files next to the rows, such as reports, and moves the run to its final name. `files`
    /// are names with their text. Returns the run's folder.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written, or if the name is now in use.
    pub fn finish(self, files: &[(String, String)]) -> Result<PathBuf> {
        files.iter().try_for_each(|(name, text)| self.run.write_text(name, text))?;
        Ok(self.run.finish()?)
    }
}

/// The journals of a run. Every thread that has a row writes to them.
struct Journals {
    rows: Mutex<Journal<GridRow>>,
    timings: Option<Mutex<Journal<TimingRow>>>,
    heads: Option<Mutex<Journal<HeadRow>>>,
    memory: Option<Mutex<Journal<MemoryRow>>>,
}

impl Journals {
    fn open(run: &ResumableRun, grid: &Grid) -> Result<Journals, RecordError> {
        let timed = grid.jobs.iter().any(|job| job.wants(MetricGroup::Timing));
        Ok(Journals {
            rows: Mutex::new(run.journal("rows.csv")?),
            timings: open_journal(run, "timings.csv", timed)?,
            heads: open_journal(run, "heads.csv", !grid.profiles.is_empty())?,
            memory: open_journal(run, "memory.csv", !grid.memory.is_empty())?,
        })
    }

    /// Returns a sentence for each line of a journal that could not be read.
    fn notes(&self) -> Vec<String> {
        fn notes<R: Row>(journal: Option<&Mutex<Journal<R>>>) -> Vec<String> {
            journal.map_or_else(Vec::new, |journal| locked(journal).notes().to_vec())
        }
        let rows = notes(Some(&self.rows));
        [rows, notes(self.timings.as_ref()), notes(self.heads.as_ref()), notes(self.memory.as_ref())].concat()
    }

    /// Returns the number of rows in all journals except the timings.
    fn row_count(&self) -> usize {
        let heads = self.heads.as_ref().map_or(0, |journal| locked(journal).len());
        let memory = self.memory.as_ref().map_or(0, |journal| locked(journal).len());
        locked(&self.rows).len() + heads + memory
    }
}

/// Opens a journal, or returns `None` if it is not wanted.
fn open_journal<R: Row>(
    run: &ResumableRun,
    name: &str,
    wanted: bool,
) -> Result<Option<Mutex<Journal<R>>>, RecordError> {
    Ok(if wanted { Some(Mutex::new(run.journal(name)?)) } else { None })
}

/// Measures everything that is not yet measured and writes the rows into the run at `folder`.
///
/// # Errors
/// Fails as [`run_with`] does.
pub fn run(grid: &Grid, folder: &Path, progress: &dyn Progress) -> Result<MeasuredRun> {
    run_with(grid, folder, &RunOptions::default(), progress)
}

/// Does the same as [`run`], with options. The run of a shard also has `contexts.csv`.
///
/// # Errors
/// Returns an error if the run is already finished or another process is writing it, if its journal belongs
/// to another definition, model, text or code, if a run whose rows are taken over cannot be read, or if the
/// self-check at budget 1 fails. The rows that were measured are kept for the next attempt. So are those of
/// work that `progress` cancels. If a cell fails, its row has the reason.
pub fn run_with(
    grid: &Grid,
    folder: &Path,
    options: &RunOptions<'_>,
    progress: &dyn Progress,
) -> Result<MeasuredRun> {
    let (started, clock) = (SystemTime::now(), Instant::now());
    let fingerprint = fingerprint(grid);
    let reused = Reused::read(options.reuse, &fingerprint)?;
    let run = match options.shard {
        None => ResumableRun::open(folder, &fingerprint)?,
        Some(shard) => ResumableRun::open(folder, &format!("{fingerprint} shard {shard}"))?,
    };
    let journals = Journals::open(&run, grid)?;
    let notes = [TextUse::notes(&grid.text_uses()), journals.notes()].concat();
    notes.iter().for_each(|note| progress.note(note));
    let resumed = journals.row_count();
    let share = Share::new(grid, options.shard);
    locked(&journals.rows).reserve(share.rows().saturating_sub(resumed));
    progress.detail(&format!("the run has {} rows, and an earlier attempt measured {resumed}", share.rows()));
    let pass = Pass { grid, share: &share, journals: &journals, reused: &reused, options, progress };
    let (measured, failures) = pass.measure_all()?;
    let contexts = share.listed(&measured.counts(journals.timings.as_ref()));
    let timed = measured.timed(journals.timings.as_ref());
    let timings = finish_journal(journals.timings, &timed)?;
    let heads = finish_journal(journals.heads, &measured.profiles.concat())?;
    let memory = finish_journal(journals.memory, &measured.memory.concat())?;
    let rows = finish_journal(Some(journals.rows), &measured.experiments.concat())?;
    if options.shard.is_some() {
        run.write_rows("contexts.csv", &contexts)?;
    }
    let files = hash_files(&run)?;
    let shard = options.shard.map(|shard| ShardEntry {
        shard,
        contexts: share.all(),
        code: grid.code.clone(),
        isa: isa_classes(grid),
        fingerprint,
    });
    let manifest = Manifest { files, shard, ..manifest(grid, started, clock.elapsed().as_secs_f64()) };
    run.write_text("definition.toml", grid.definition.text())?;
    run.write_json("manifest.json", &manifest)?;
    let reused = reused.taken();
    Ok(MeasuredRun { rows, timings, heads, memory, resumed, reused, failures, manifest, run })
}

/// Returns the hashes of all files of rows that a run has.
fn hash_files(run: &ResumableRun) -> Result<Vec<FileHash>, RecordError> {
    let files = ["rows.csv", "timings.csv", "heads.csv", "memory.csv", "contexts.csv"].into_iter();
    files
        .map(|name| run.path().join(name))
        .filter(|path| path.exists())
        .map(|path| FileHash::from_file(&path))
        .collect()
}

/// Returns whether `folder` has the finished run of a grid, or of one of its shards.
///
/// # Errors
/// Returns an error if the folder has another run, or if a file of the run was changed.
pub fn is_finished(grid: &Grid, folder: &Path, shard: Option<Shard>) -> Result<bool> {
    if !folder.join("manifest.json").exists() {
        return Ok(false);
    }
    let found = Manifest::from_run(folder)?;
    found.check_files(folder)?;
    let same_inputs = found.definition_sha256() == Some(&grid.definition.sha256())
        && found.options.get("experiments") == Some(&json!(experiment_names(grid)))
        && (&found.models, &found.texts) == (&grid.models, &grid.texts);
    let same_shard = match (&found.shard, shard) {
        (None, None) => true,
        (Some(entry), Some(shard)) => entry.shard == shard && entry.fingerprint == fingerprint(grid),
        _ => false,
    };
    ensure!(
        File,
        same_inputs && same_shard,
        "{} is another run, so it is not what was asked for: give another --out, or move the folder away",
        folder.display()
    );
    Ok(true)
}

/// One pass over a grid: it measures what is missing.
struct Pass<'a> {
    grid: &'a Grid,
    share: &'a Share,
    journals: &'a Journals,
    reused: &'a Reused,
    options: &'a RunOptions<'a>,
    progress: &'a dyn Progress,
}

/// The keys of the rows of every own context, by part.
struct MeasuredKeys {
    memory: Vec<Vec<String>>,
    profiles: Vec<Vec<String>>,
    experiments: Vec<Vec<String>>,
}

impl MeasuredKeys {
    /// Returns the number of rows and of timings of every own context, in the order of a run.
    fn counts(&self, timings: Option<&Mutex<Journal<TimingRow>>>) -> Vec<(usize, usize)> {
        let untimed = self.memory.iter().chain(&self.profiles).map(|keys| (keys.len(), 0));
        let timings = timings.map(locked);
        let timed = |keys: &Vec<String>| {
            let is_timed = |key: &&String| timings.as_ref().is_some_and(|rows| rows.contains(key));
            (keys.len(), keys.iter().filter(is_timed).count())
        };
        untimed.chain(self.experiments.iter().map(timed)).collect()
    }

    /// Returns the keys of all cells that have a timing.
    fn timed(&self, timings: Option<&Mutex<Journal<TimingRow>>>) -> Vec<String> {
        let Some(timings) = timings.map(locked) else { return Vec::new() };
        self.experiments.iter().flatten().filter(|key| timings.contains(key)).cloned().collect()
    }
}

impl Pass<'_> {
    /// Measures everything that is missing. Returns the keys of all own rows, and a sentence for each part of
    /// a profile or a memory study that failed.
    fn measure_all(&self) -> Result<(MeasuredKeys, Vec<String>)> {
        let Pass { grid, share, journals, reused, progress, .. } = *self;
        let mut failures = Vec::new();
        let (mut memory, mut profiles, mut experiments) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(rows) = &journals.memory {
            for (number, job) in grid.memory.iter().enumerate() {
                let own = share.measured_by_job(Part::Memory, number);
                memory.extend(memory::measure(job, &own, rows, reused, &mut failures, progress)?);
            }
        }
        if let Some(rows) = &journals.heads {
            for (number, job) in grid.profiles.iter().enumerate() {
                let own = share.measured_by_job(Part::Profiles, number);
                profiles.extend(profiles::measure(job, &own, rows, reused, &mut failures, progress)?);
            }
        }
        for (number, job) in grid.jobs.iter().enumerate() {
            experiments.extend(self.measure_job(job, &share.measured_by_job(Part::Experiments, number))?);
        }
        Ok((MeasuredKeys { memory, profiles, experiments }, failures))
    }

    /// Measures the missing rows of a job on its `own` units. Returns the keys of all rows of each own unit.
    fn measure_job(&self, job: &Job, own: &[bool]) -> Result<Vec<Vec<String>>> {
        let Pass { grid, journals, reused, progress, .. } = *self;
        let keys = Keys::new(job, grid);
        let unit_keys = |unit: &Unit| {
            let keys = keys.unit(unit);
            job.cells_of(unit)
                .flat_map(|cell| {
                    unit.groups.iter().map(|group| keys.row(job, cell, group)).collect::<Vec<_>>()
                })
                .collect::<Vec<String>>()
        };
        let units: Vec<&Unit> =
            job.units.iter().zip(own).filter(|(_, own)| **own).map(|(unit, _)| unit).collect();
        let order: Vec<Vec<String>> = units.iter().map(|unit| unit_keys(unit)).collect();
        for key in order.iter().flatten() {
            reused.take_over(&reused.cells, key, &journals.rows)?;
            if let Some(timings) = &journals.timings {
                reused.take_over_timing(key, timings)?;
            }
        }
        for (unit, keys_of_unit) in units.iter().zip(&order) {
            let rows = locked(&journals.rows);
            if keys_of_unit.iter().any(|key| rows.contains(key)) {
                check_cells(&BaseRows { job, unit, keys: keys.unit(unit) }, keys_of_unit, &rows)?;
            }
        }
        let (unfinished, measured): (Vec<usize>, usize) = {
            let rows = locked(&journals.rows);
            let lacks_rows = |&unit: &usize| order[unit].iter().any(|key| !rows.contains(key));
            let measured = order.iter().flatten().filter(|key| rows.contains(key)).count();
            ((0..units.len()).filter(lacks_rows).collect(), measured)
        };
        if unfinished.is_empty() {
            return Ok(order);
        }
        let prefill = Prefill::new(job, grid, self.options)?;
        let calibrated = calibrate(&prefill, progress)?;
        let name = format!("{} {}", job.experiment.name, job.loaded.name);
        progress.detail(&format!(
            "{name}: {} of {} contexts lack rows, and a context has {} cells at most",
            unfinished.len(),
            units.len(),
            job.cells.len()
        ));
        let work = Work::resumed(progress, &name, order.iter().map(Vec::len).sum(), measured);
        let measure = |&unit: &usize| {
            let unit = units[unit];
            measure_unit(&prefill, unit, keys.unit(unit), &calibrated, (journals, progress), &work)
                .at(format!("{} on {}", job.experiment.name, unit.name))
        };
        if job.loaded.config().vocab_size <= SMALL_VOCABULARY {
            unfinished.par_iter().try_for_each(measure)?;
        } else {
            unfinished.iter().try_for_each(measure)?;
        }
        work.finish();
        Ok(order)
    }
}

/// Checks that the rows of a unit in the journal are those of its cells. `keys` are the keys of its rows, in
/// the order of the cells and their groups of questions.
///
/// # Errors
/// Returns an error for a row that names another cell than its key does.
fn check_cells(base: &BaseRows<'_>, keys: &[String], rows: &Journal<GridRow>) -> Result<()> {
    let cells = base.job.cells_of(base.unit);
    let mut expected = cells.flat_map(|cell| base.group_rows(cell));
    rows.read(keys, |row, _| {
        // The rows come in the order of the keys, and some may be missing.
        let cell = expected.find(|cell| cell.key == row.key);
        let other = cell.as_ref().and_then(|cell| row.other_cell(cell));
        let Some((column, value)) = other else { return Ok(()) };
        bail!(
            File,
            "{}: the row {} has {column} = '{value}', which is not the cell of its key, so it was edited: remove its \
             line, or delete the folder of the unfinished run",
            rows.path().display(),
            row.key
        );
    })
}

/// Writes the rows of a journal in the given order of keys.
fn finish_journal<R: Row>(
    journal: Option<Mutex<Journal<R>>>,
    order: &[String],
) -> Result<Vec<R>, RecordError> {
    let Some(journal) = journal else { return Ok(Vec::new()) };
    journal.into_inner().unwrap_or_else(PoisonError::into_inner).finish(order)
}

/// Returns a hash of everything that the rows of a run depend on.
fn fingerprint(grid: &Grid) -> String {
    let model_parts = |model: &ModelEntry| {
        let files = model.files.iter().map(|file| file.sha256.clone());
        [model.name.clone()].into_iter().chain(files).collect::<Vec<_>>()
    };
    let models = grid.models.iter().flat_map(model_parts);
    let texts = grid.texts.iter().flat_map(|text| [text.name.clone(), text.sha256.clone()]);
    let experiments = grid.jobs.iter().map(|job| job.experiment.name.clone());
    let profiles = grid.profiles.iter().map(|job| job.name().to_owned());
    let memory = grid.memory.iter().map(|job| job.name().to_owned());
    let calibration = grid.jobs.iter().map(|job| job.calibration.fingerprint.clone());
    let first = [grid.definition.sha256(), grid.code.clone(), isa_classes(grid).join(" "), grid.reading()];
    let parts = first.into_iter().chain(models).chain(texts).chain(experiments).chain(profiles).chain(memory);
    sha256_of_parts(parts.chain(calibration))
}

/// Returns the class of instruction sets that runs each model, experiments first.
fn isa_classes(grid: &Grid) -> Vec<String> {
    let loaded = grid.jobs.iter().map(|job| &*job.loaded).chain(grid.profiles.iter().map(|job| job.loaded()));
    loaded.map(|loaded| key::isa_class(loaded).to_string()).collect()
}

/// Returns the names of all studies of a grid.
fn experiment_names(grid: &Grid) -> Vec<&str> {
    let mut names: Vec<&str> = grid.jobs.iter().map(|job| job.experiment.name.as_str()).collect();
    names.extend(grid.profiles.iter().map(|job| job.name()));
    names.extend(grid.memory.iter().map(|job| job.name()));
    names.dedup();
    names
}

fn manifest(grid: &Grid, started: SystemTime, seconds: f64) -> Manifest {
    let options = json!({
        "definition": Path::new(grid.definition.file()).file_name().map(|name| name.to_string_lossy()),
        "definition_sha256": grid.definition.sha256(),
        "experiments": experiment_names(grid),
        "text_use": grid.text_uses(),
    });
    let serde_json::Value::Object(options) = options else { unreachable!("the literal is an object") };
    let seed = grid.jobs.first().and_then(|job| job.experiment.seeds.first()).copied().unwrap_or(0);
    let models = grid.models.clone();
    Manifest { seconds, ..provenance::manifest(started, seed, models, grid.texts.clone(), options) }
}

/// Prefills the context of a unit and measures the cells that are not yet measured. If the context cannot be
/// read, all of them fail.
fn measure_unit(
    prefill: &Prefill<'_>,
    unit: &Unit,
    keys: UnitKeys,
    calibrated: &CalibratedHeads,
    (journals, progress): (&Journals, &dyn Progress),
    work: &Work<'_>,
) -> Result<()> {
    check_cancelled(progress)?;
    let job = prefill.job;
    let missing: Vec<&Cell> = {
        let rows = locked(&journals.rows);
        let is_measured =
            |cell: &Cell| unit.groups.iter().all(|group| rows.contains(&keys.row(job, cell, group)));
        job.cells_of(unit).filter(|cell| !is_measured(cell)).collect()
    };
    let rows = BaseRows { job, unit, keys };
    let (context, unrepeatable) = match prefill.read(unit, &calibrated.numbers, progress) {
        Ok(read) => read,
        Err(error) => {
            let error = format!("the context cannot be read: {error}");
            let mut failed = missing.iter().map(|cell| rows.failed(cell, &error));
            return failed.try_for_each(|rows| append_new(journals, rows, None, work));
        }
    };
    let view = context.observation().view();
    let planner = Planner::new(&view);
    let (context, planner, shared) = (&context, &planner, SharedResults::default());
    let CalibratedHeads { numbers: calibration, failure } = calibrated;
    let (uncalibrated, deadline) = (failure.as_deref(), Default::default());
    let measurer = UnitMeasurer {
        job,
        unit,
        rows,
        context,
        planner,
        calibration,
        unrepeatable,
        uncalibrated,
        shared,
        deadline,
    };
    let size = batch::size(job, unit, context.cache().bytes());
    let (cells, batches) = (missing.len(), batch::batches(&missing, size).count());
    work.detail(&format!("{}: {cells} cells in {batches} batches of {size} at most", unit.name));
    for cells in batch::batches(&missing, size) {
        for (rows, timing) in measurer.measure(cells)? {
            append_new(journals, rows, timing, work)?;
        }
        check_cancelled(progress)?;
    }
    Ok(())
}

/// Returns an error if the user has asked the work to stop.
fn check_cancelled(progress: &dyn Progress) -> Result<()> {
    if progress.is_cancelled() { Err(crate::Error::Cancelled) } else { Ok(()) }
}

/// Appends the rows and the timing to the journals unless they are already there.
fn append_new(
    journals: &Journals,
    rows: Vec<GridRow>,
    timing: Option<TimingRow>,
    work: &Work<'_>,
) -> Result<()> {
    if let (Some(timing), Some(timings)) = (timing, &journals.timings) {
        let mut timings = locked(timings);
        if !timings.contains(&timing.key) {
            timings.append(timing)?;
        }
    }
    let mut journal = locked(&journals.rows);
    for row in rows {
        if !journal.contains(&row.key) {
            journal.append(row)?;
            work.advance();
        }
    }
    Ok(())
}
