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

mod batch;
mod code;
mod estimate;
mod evictor;
mod free_running;
mod in_parallel;
mod key;
mod loaded_models;
mod measure;
mod memory;
mod output_error;
mod plan;
mod profiles;
mod sources;
mod storage;
mod unit;
mod wanted;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use bitkv_evict::{Need, Planner};
use bitkv_models::{LoadedModel, provenance};
use bitkv_progress::{Progress, Work};
use bitkv_record::{
    FileHash, GridRow, HeadRow, Journal, Manifest, MemoryRow, Metric, ModelEntry, Queries, RecordError,
    ResumableRun, Row, Text, TimingRow, sha256_of_parts,
};
use rayon::prelude::*;
use serde_json::json;

use crate::{Result, context::Context, error::Place as _, observation::Calibration, profile, window::Window};
pub use estimate::{Estimate, Estimates, estimate};
use in_parallel::{SMALL_VOCABULARY, locked};
use key::{Keys, UnitKeys};
use measure::{Reader, Shared};
pub use memory::MemoryJob;
pub use plan::{Cell, Grid, Job, Options, Seeded};
pub use profiles::Study;
pub use sources::Sources;
pub use unit::{Group, Scored, Unit};

/// Everything that a run measured. [`MeasuredRun::finish`] moves the run's folder to its final name.
#[derive(Debug)]
pub struct Measured {
    /// Rows of cells, in the order of the definition.
    pub rows: Vec<GridRow>,
    /// The time that each cell took; empty unless the definition asks for timings.
    pub timings: Vec<TimingRow>,
    /// The entropies of heads; empty unless the definition has profiles.
    pub heads: Vec<HeadRow>,
    /// Bytes by context length; empty unless the definition has memory studies.
    pub memory: Vec<MemoryRow>,
    /// The number of rows that an earlier attempt measured, timings not counted.
    pub resumed: usize,
    /// The record of what was run.
    pub manifest: Manifest,
    run: ResumableRun,
}

impl Measured {
    /// Where the run will be when it is finished.
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

/// The journals of a run, written by whichever thread has a row.
struct Records {
    rows: Mutex<Journal<GridRow>>,
    timings: Option<Mutex<Journal<TimingRow>>>,
    heads: Option<Mutex<Journal<HeadRow>>>,
    memory: Option<Mutex<Journal<MemoryRow>>>,
}

impl Records {
    fn open(run: &ResumableRun, grid: &Grid) -> Result<Records, RecordError> {
        let timed = grid.jobs.iter().any(|job| job.wants(Metric::Timing));
        Ok(Records {
            rows: Mutex::new(run.journal("rows.csv")?),
            timings: journal(run, "timings.csv", timed)?,
            heads: journal(run, "heads.csv", !grid.studies.is_empty())?,
            memory: journal(run, "memory.csv", !grid.memory.is_empty())?,
        })
    }

    /// Rows of every kind but timings.
    fn count(&self) -> usize {
        let heads = self.heads.as_ref().map_or(0, |journal| locked(journal).rows().len());
        let memory = self.memory.as_ref().map_or(0, |journal| locked(journal).rows().len());
        locked(&self.rows).rows().len() + heads + memory
    }
}

fn journal<R: Row>(
    run: &ResumableRun,
    name: &str,
    wanted: bool,
) -> Result<Option<Mutex<Journal<R>>>, RecordError> {
    Ok(if wanted { Some(Mutex::new(run.journal(name)?)) } else { None })
}

/// Measures everything that is not yet measured and writes the rows into the run at `folder`.
///
/// # Errors
/// When the run is finished or being written already, when its journal is of another definition, model, text or code, or
/// when the self-check at budget 1 fails. What was measured stays for the next attempt.
pub fn run(grid: &Grid, folder: &Path, progress: &dyn Progress) -> Result<Measured> {
    let (started, clock) = (SystemTime::now(), Instant::now());
    let run = ResumableRun::open(folder, &fingerprint(grid))?;
    let records = Records::open(&run, grid)?;
    let resumed = records.count();
    let memory_order = in_order(&grid.memory, records.memory.as_ref(), memory::measure)?;
    let head_order = in_order(&grid.studies, records.heads.as_ref(), |study, rows| {
        profiles::measure(study, rows, progress)
    })?;
    let mut order = Vec::new();
    for job in &grid.jobs {
        order.extend(measure(grid, job, &records, progress)?);
    }
    let timed = |key: &&String| records.timings.as_ref().is_some_and(|rows| locked(rows).contains(key));
    let timed: Vec<String> = order.iter().filter(timed).cloned().collect();
    let timings = finished(records.timings, &timed)?;
    let heads = finished(records.heads, &head_order)?;
    let memory = finished(records.memory, &memory_order)?;
    let rows = finished(Some(records.rows), &order)?;
    let files = ["rows.csv", "timings.csv", "heads.csv", "memory.csv"].into_iter();
    let files = files.filter(|name| run.path().join(name).exists()).map(|name| {
        let hashed = FileHash::from_file(&run.path().join(name))?;
        Ok(FileHash { name: name.to_owned(), ..hashed })
    });
    let files = files.collect::<Result<_, RecordError>>()?;
    let manifest = Manifest { files, ..manifest_of(grid, started, clock.elapsed().as_secs_f64()) };
    run.write_text("definition.toml", grid.definition.text())?;
    run.write_json("manifest.json", &manifest)?;
    Ok(Measured { rows, timings, heads, memory, resumed, manifest, run })
}

/// Measures what jobs of a kind still lack, where there are any; returns the keys of all their rows in their order.
fn in_order<J, R: Row>(
    jobs: &[J],
    rows: Option<&Mutex<Journal<R>>>,
    measure: impl Fn(&J, &Mutex<Journal<R>>) -> Result<Vec<String>>,
) -> Result<Vec<String>> {
    let Some(rows) = rows else { return Ok(Vec::new()) };
    Ok(jobs.iter().map(|job| measure(job, rows)).collect::<Result<Vec<_>>>()?.concat())
}

/// Writes the rows of a journal in their order.
fn finished<R: Row>(journal: Option<Mutex<Journal<R>>>, order: &[String]) -> Result<Vec<R>, RecordError> {
    let Some(journal) = journal else { return Ok(Vec::new()) };
    journal.into_inner().unwrap_or_else(PoisonError::into_inner).finish(order)
}

/// Returns a hash of everything that the rows of a run depend on.
fn fingerprint(grid: &Grid) -> String {
    let of_model = |model: &ModelEntry| {
        let files = model.files.iter().map(|file| file.sha256.clone());
        [model.name.clone()].into_iter().chain(files).collect::<Vec<_>>()
    };
    let models = grid.models.iter().flat_map(of_model);
    let texts = grid.texts.iter().flat_map(|text| [text.name.clone(), text.sha256.clone()]);
    let experiments = grid.jobs.iter().map(|job| job.experiment.name.clone());
    let studies = grid.studies.iter().map(|study| study.name().to_owned());
    let memory = grid.memory.iter().map(|job| job.name().to_owned());
    let calibration = grid.jobs.iter().map(|job| job.calibration.fingerprint.clone());
    let isa = key::isa_class().to_string();
    let first = [grid.definition.sha256(), grid.code.clone(), isa, grid.reading()];
    let parts = first.into_iter().chain(models).chain(texts).chain(experiments).chain(studies).chain(memory);
    sha256_of_parts(parts.chain(calibration))
}

fn manifest_of(grid: &Grid, started: SystemTime, seconds: f64) -> Manifest {
    let mut experiments: Vec<&str> = grid.jobs.iter().map(|job| job.experiment.name.as_str()).collect();
    experiments.extend(grid.studies.iter().map(|study| study.name()));
    experiments.extend(grid.memory.iter().map(|job| job.name()));
    experiments.dedup();
    let options = json!({
        "definition": Path::new(grid.definition.file()).file_name().map(|name| name.to_string_lossy()),
        "definition_sha256": grid.definition.sha256(),
        "experiments": experiments,
    });
    let serde_json::Value::Object(options) = options else { unreachable!("a literal object is one") };
    let seed = grid.jobs.first().and_then(|job| job.experiment.seeds.first()).copied().unwrap_or(0);
    let models = grid.models.clone();
    Manifest { seconds, ..provenance::manifest(started, seed, models, grid.texts.clone(), options) }
}

/// Measures what a job still lacks; returns the keys of all its rows in their order.
fn measure(grid: &Grid, job: &Job, records: &Records, progress: &dyn Progress) -> Result<Vec<String>> {
    let keys = Keys::new(job, grid);
    let order = |unit: &Unit| {
        let keys = keys.unit(unit);
        job.cells
            .iter()
            .flat_map(|cell| unit.groups.iter().map(|group| keys.row(job, cell, group)).collect::<Vec<_>>())
            .collect::<Vec<String>>()
    };
    let order: Vec<Vec<String>> = job.units.iter().map(order).collect();
    let (lacking, there): (Vec<usize>, usize) = {
        let rows = locked(&records.rows);
        let lacks = |&unit: &usize| order[unit].iter().any(|key| !rows.contains(key));
        let there = order.iter().flatten().filter(|key| rows.contains(key)).count();
        ((0..job.units.len()).filter(lacks).collect(), there)
    };
    if !lacking.is_empty() {
        let numbers = numbers(job, progress)?;
        let name = format!("{} {}", job.experiment.name, job.loaded.name);
        let work = Work::resumed(progress, &name, job.rows(), there);
        let loaded: &LoadedModel = &job.loaded;
        let measure_unit = |&unit: &usize| {
            let unit = &job.units[unit];
            read(job, loaded, unit, keys.unit(unit), &numbers, records, &work)
                .at(format!("{} on {}", job.experiment.name, unit.name))
        };
        if loaded.config().vocab_size <= SMALL_VOCABULARY {
            lacking.par_iter().try_for_each(measure_unit)?;
        } else {
            lacking.iter().try_for_each(measure_unit)?;
        }
        work.finish();
    }
    Ok(order.concat())
}

/// Reads a context and measures the cells that are not measured yet.
fn read(
    job: &Job,
    loaded: &LoadedModel,
    unit: &Unit,
    keys: UnitKeys,
    numbers: &Calibration,
    records: &Records,
    work: &Work<'_>,
) -> Result<()> {
    let missing: Vec<&Cell> = {
        let rows = locked(&records.rows);
        let measured =
            |cell: &Cell| unit.groups.iter().all(|group| rows.contains(&keys.row(job, cell, group)));
        job.cells.iter().filter(|cell| !measured(cell)).collect()
    };
    // Repeating a context can fail although reading it succeeds. Only the policies that need the repetition
    // then fail.
    let needs = &job.needs.without(&[Need::Reconstruction].into());
    let repeat = |context: &mut Context<'_>| context.repeat(&job.needs).err().map(|error| error.to_string());
    let (context, unrepeatable) = match &unit.scored {
        Scored::Text { continuation, .. } | Scored::Together { continuation, .. } => {
            let dense = measure::dense(job);
            let mut context = Context::read(loaded, &unit.context, continuation, needs, numbers, &dense)?;
            let unrepeatable = repeat(&mut context);
            (context, unrepeatable)
        }
        Scored::Questions(questions) => {
            let seen = [&unit.context[..], &unit.lookahead].concat();
            let mut context = Context::observe(loaded, &seen, needs, numbers)?;
            let unrepeatable = repeat(&mut context);
            if !unit.lookahead.is_empty() {
                context.rewind(unit.context.len())?;
            }
            if job.needs.contains(Need::Future) {
                let asked: Vec<Vec<u32>> = questions.iter().map(|question| question.asked()).collect();
                context.observe_future(&asked)?;
            }
            (context, unrepeatable)
        }
    };
    let view = context.observation().view();
    let planner = Planner::new(&view);
    let (context, planner, shared) = (&context, &planner, Shared::default());
    let reader = Reader { job, unit, keys, context, planner, numbers, unrepeatable, shared };
    let size = batch::size(job, unit, context.cache().bytes());
    for cells in batch::batches(&missing, size) {
        for (rows, timing) in reader.measure(cells)? {
            write(records, rows, timing, work)?;
        }
    }
    Ok(())
}

/// Adds what is new to the journals.
fn write(records: &Records, rows: Vec<GridRow>, timing: Option<TimingRow>, work: &Work<'_>) -> Result<()> {
    if let (Some(timing), Some(timings)) = (timing, &records.timings) {
        let mut timings = locked(timings);
        if !timings.contains(&timing.key) {
            timings.append(timing)?;
        }
    }
    let mut journal = locked(&records.rows);
    for row in rows {
        if !journal.contains(&row.key) {
            journal.append(row)?;
            work.advance();
        }
    }
    Ok(())
}

/// Entropies and scores of heads, as the job's policies need them.
fn numbers(job: &Job, progress: &dyn Progress) -> Result<Calibration> {
    let mut numbers = Calibration::new();
    if let Some((texts, tokens)) = &job.calibration.profiled {
        let texts: Vec<&Text> = texts.all().iter().collect();
        let windows = Window::all(&job.loaded, &texts, *tokens)?;
        let work = format!("{} calibration", job.loaded.name);
        let entropies = profile::measure(&job.loaded, &windows, &work, progress)?;
        numbers.insert(Need::Entropy, entropies.mean(*tokens, Queries::Published));
    }
    if let Some(entropy) = &job.calibration.entropy {
        numbers.insert(Need::Entropy, entropy.clone());
    }
    if let Some(scores) = &job.calibration.head_scores {
        numbers.insert(Need::HeadScores, scores.clone());
    }
    Ok(numbers)
}
