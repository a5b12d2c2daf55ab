//! Runs a definition: policies by budgets by contexts, from one prefill a context, resumable at every row.

mod cutter;
mod estimate;
mod flight;
mod free_running;
mod key;
mod measure;
mod output_error;
mod plan;
mod profiles;
mod report;
mod storage;
mod unit;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use anyhow::{Context as _, Result};
use bitkv_evict::{Need, Planner};
use bitkv_record::{GridRow, HeadRow, Journal, Metric, ResumableRun, Text, TimingRow, sha256_of_parts};
use bitkv_report::GridInput;
use rayon::prelude::*;
use serde_json::json;

use crate::{
    Subject,
    context::Context,
    evidence::Numbers,
    manifest,
    profile::{Rows, measure as profile},
    progress::Steps,
    window::Window,
};
pub use estimate::{Estimate, estimate};
use key::{Keys, UnitKeys};
use measure::Reader;
pub use plan::{Cell, Grid, Job, Seeded, Sources};
pub use profiles::Study;
pub use report::{Recorded, read_run, render};
pub use unit::{Group, Scored, Unit};

/// Vocabularies up to this are small enough to read several contexts at once: each in flight holds logits of its whole
/// continuation.
const SMALL_VOCABULARY: usize = 32_768;

/// A finished run.
#[derive(Debug)]
pub struct Outcome {
    /// Its rows, in the order of the definition.
    pub rows: Vec<GridRow>,
    /// What the cells took, where that was asked for.
    pub timings: Vec<TimingRow>,
    /// Entropies of heads, where the definition has profiles.
    pub heads: Vec<HeadRow>,
    /// Rows that an earlier attempt had measured.
    pub resumed: usize,
    /// The run folder.
    pub folder: PathBuf,
    /// What was run.
    pub manifest: bitkv_record::Manifest,
}

/// The journals of a run, written by whichever thread has a row.
struct Records {
    rows: Mutex<Journal<GridRow>>,
    timings: Option<Mutex<Journal<TimingRow>>>,
}

/// Measures every cell that is not measured yet and moves the run to `folder`.
///
/// # Errors
/// When the run is finished or being written already, when its journal is of another definition, model, text or code, or
/// when the self-check at budget 1 fails. What was measured stays for the next attempt.
pub fn run(grid: &Grid, folder: &Path) -> Result<Outcome> {
    let (started, clock) = (SystemTime::now(), Instant::now());
    let run = ResumableRun::open(folder, &fingerprint(grid))?;
    let timed = grid.jobs.iter().any(|job| job.wants(Metric::Timing));
    let timings = timed.then(|| run.journal::<TimingRow>("timings.csv")).transpose()?.map(Mutex::new);
    let records = Records { rows: Mutex::new(run.journal::<GridRow>("rows.csv")?), timings };
    let resumed = locked(&records.rows).rows().len();
    let mut order = Vec::new();
    for job in &grid.jobs {
        order.extend(measure(grid, job, &records)?);
    }
    let rows = records.rows.into_inner().unwrap_or_else(PoisonError::into_inner).finish(&order)?;
    let mut timings = Vec::new();
    if let Some(journal) = records.timings {
        let journal = journal.into_inner().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<String> = order.into_iter().filter(|key| journal.contains(key)).collect();
        timings = journal.finish(&keys)?;
    }
    let mut heads = Vec::new();
    for study in &grid.studies {
        heads.extend(profiles::profile(study)?);
    }
    if !heads.is_empty() {
        run.write_rows("heads.csv", &heads)?;
    }
    let target = run.target().display().to_string();
    let manifest = manifest_of(grid, started, clock.elapsed().as_secs_f64());
    let input = GridInput {
        manifest: &manifest,
        definition: &grid.definition,
        rows: &rows,
        timings: &timings,
        heads: &heads,
        run: Some(&target),
    };
    run.write_text("definition.toml", grid.definition.text())?;
    run.write_json("manifest.json", &manifest)?;
    for (name, text) in report::files(&input) {
        run.write_text(&name, &text)?;
    }
    Ok(Outcome { rows, timings, heads, resumed, folder: run.finish()?, manifest })
}

/// Stands for everything that rows depend on.
fn fingerprint(grid: &Grid) -> String {
    let models = grid.models.iter().flat_map(|model| &model.files).map(|file| file.sha256.clone());
    let texts = grid.texts.iter().map(|text| text.sha256.clone());
    let experiments = grid.jobs.iter().map(|job| job.experiment.name.clone());
    let experiments = experiments.chain(grid.studies.iter().map(|study| study.name().to_owned()));
    let first = [grid.definition.sha256(), key::code().to_owned()];
    let calibration = grid.jobs.iter().map(|job| job.calibration.fingerprint.clone());
    let experiments = experiments.chain(calibration);
    sha256_of_parts(first.into_iter().chain(models).chain(texts).chain(experiments))
}

fn manifest_of(grid: &Grid, started: SystemTime, seconds: f64) -> bitkv_record::Manifest {
    let mut experiments: Vec<&str> = grid.jobs.iter().map(|job| job.experiment.name.as_str()).collect();
    experiments.extend(grid.studies.iter().map(|study| study.name()));
    experiments.dedup();
    let options = json!({
        "definition": Path::new(grid.definition.file()).file_name().map(|name| name.to_string_lossy()),
        "definition_sha256": grid.definition.sha256(),
        "experiments": experiments,
    });
    let serde_json::Value::Object(options) = options else { unreachable!("a literal object is one") };
    let seed = grid.jobs.first().and_then(|job| job.experiment.seeds.first()).copied().unwrap_or(0);
    let models = grid.models.clone();
    bitkv_record::Manifest { seconds, ..manifest::new(started, seed, models, grid.texts.clone(), options) }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Measures what a job still lacks; returns the keys of all its rows in their order.
fn measure(grid: &Grid, job: &Job, records: &Records) -> Result<Vec<String>> {
    let keys = Keys::of(job, grid);
    let order = |unit: &Unit| {
        let keys = keys.unit(unit);
        job.cells
            .iter()
            .flat_map(|cell| unit.groups.iter().map(|group| keys.row(job, cell, group)).collect::<Vec<_>>())
            .collect::<Vec<String>>()
    };
    let order: Vec<Vec<String>> = job.units.iter().map(order).collect();
    let lacking: Vec<usize> = {
        let rows = locked(&records.rows);
        (0..job.units.len()).filter(|&unit| order[unit].iter().any(|key| !rows.contains(key))).collect()
    };
    if !lacking.is_empty() {
        let numbers = numbers(job)?;
        let steps = Steps::new(&format!("{} {}", job.experiment.name, job.subject.name), lacking.len());
        let subject: &Subject = &job.subject;
        let one = |&unit: &usize| {
            let unit = &job.units[unit];
            let done = read(job, subject, unit, keys.unit(unit), &numbers, records);
            steps.advance();
            done.with_context(|| format!("{} on {}", job.experiment.name, unit.name))
        };
        if subject.config().vocab_size <= SMALL_VOCABULARY {
            lacking.par_iter().try_for_each(one)?;
        } else {
            lacking.iter().try_for_each(one)?;
        }
        steps.finish();
    }
    Ok(order.concat())
}

/// Reads a context and measures the cells that are not measured yet.
fn read(
    job: &Job,
    subject: &Subject,
    unit: &Unit,
    keys: UnitKeys,
    numbers: &Numbers,
    records: &Records,
) -> Result<()> {
    let missing: Vec<&Cell> = {
        let rows = locked(&records.rows);
        let measured =
            |cell: &Cell| unit.groups.iter().all(|group| rows.contains(&keys.row(job, cell, group)));
        job.cells.iter().filter(|cell| !measured(cell)).collect()
    };
    // Repeating a context may fail where reading it does not: that concerns the policies that ask for it only.
    let needs = &job.needs.without(&[Need::Reconstruction].into());
    let repeat =
        |context: &mut Context<'_>| context.repeat(&job.needs).err().map(|error| format!("{error:#}"));
    let (context, unrepeatable) = match &unit.scored {
        Scored::Text { continuation, .. } => {
            let dense = measure::dense(job);
            let mut context = Context::read(subject, &unit.context, continuation, needs, numbers, &dense)?;
            let unrepeatable = repeat(&mut context);
            (context, unrepeatable)
        }
        Scored::Questions(questions) => {
            let seen = [&unit.context[..], &unit.peek].concat();
            let mut context = Context::observe(subject, &seen, needs, numbers)?;
            let unrepeatable = repeat(&mut context);
            if !unit.peek.is_empty() {
                context.rewind(unit.context.len())?;
            }
            if job.needs.contains(Need::Future) {
                let asked: Vec<Vec<u32>> = questions.iter().map(|question| question.asked()).collect();
                context.foresee(&asked)?;
            }
            (context, unrepeatable)
        }
    };
    let view = context.evidence().view();
    let planner = Planner::new(&view);
    let reader = Reader::new(job, unit, keys, &context, &planner, numbers, unrepeatable);
    let size = flight::size(job, unit, context.cache().bytes());
    for cells in flight::flights(&missing, size) {
        for (rows, timing) in reader.measure(cells)? {
            write(records, rows, timing)?;
        }
    }
    Ok(())
}

/// Adds what is new to the journals.
fn write(records: &Records, rows: Vec<GridRow>, timing: Option<TimingRow>) -> Result<()> {
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
        }
    }
    Ok(())
}

/// Entropies and scores of heads, as the job's policies need them.
fn numbers(job: &Job) -> Result<Numbers> {
    let mut numbers = Numbers::new();
    if let Some((texts, tokens)) = &job.calibration.profiled {
        let texts: Vec<&Text> = texts.all().iter().collect();
        let windows = Window::of_all(&job.subject, &texts, *tokens)?;
        let steps = Steps::new(&format!("{} calibration", job.subject.name), windows.len());
        numbers
            .insert(Need::Entropy, profile(&job.subject, &windows, &steps)?.mean(*tokens, Rows::Published));
        steps.finish();
    }
    if let Some(entropy) = &job.calibration.entropy {
        numbers.insert(Need::Entropy, entropy.clone());
    }
    if let Some(scores) = &job.calibration.head_scores {
        numbers.insert(Need::HeadScores, scores.clone());
    }
    Ok(numbers)
}
