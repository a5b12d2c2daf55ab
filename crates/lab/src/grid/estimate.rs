//! Estimates the time and memory of a run from one context that is read on this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use bitkv_progress::Silent;
use bitkv_record::MetricGroup;

use super::{
    contexts::{Part, WorkContext, assigned, contexts},
    in_parallel::SMALL_VOCABULARY,
    job::{Grid, Job},
    memory::MemoryJob,
    peak,
    profiles::ProfileJob,
    unit::{Scored, Unit},
};
use crate::{Error, Result, profile};

/// The tokens that are read to estimate the time of a longer context.
const PROBE: usize = 128;
/// The tokens of a greedy continuation.
pub(super) const GREEDY_TOKENS: usize = 64;

/// The estimated cost of one section of a definition on one model.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// The name of the experiment, profile or memory study.
    pub experiment: String,
    /// The name of the model.
    pub model: String,
    /// The number of contexts.
    pub contexts: usize,
    /// The number of cells per context.
    pub cells: usize,
    /// The number of rows of all contexts.
    pub rows: usize,
    /// The seconds that it takes on this machine under its present load, calibration included.
    pub seconds: f64,
    /// The seconds of reading calibration texts. Every shard that has a context of the experiment takes them.
    pub calibration_seconds: f64,
    /// The peak bytes of memory: the program, weights, caches, activations and logits.
    pub bytes: u64,
}

/// The estimated cost of a run, section by section.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Estimates {
    /// The number of rows of all sections.
    pub rows: usize,
    /// One estimate for every experiment on every model.
    pub jobs: Vec<Estimate>,
    /// One estimate for every profile on every model. The cells of a context are its heads at every length.
    pub profiles: Vec<Estimate>,
    /// One estimate for every memory study on every model. The cells of a context are its accountings.
    pub memory: Vec<Estimate>,
}

impl Estimates {
    /// Returns all estimates in the order of a run.
    pub fn all(&self) -> impl Iterator<Item = &Estimate> {
        self.memory.iter().chain(&self.profiles).chain(&self.jobs)
    }
}

/// Estimates the cost of every section. The first context of each is read once.
///
/// # Errors
/// Returns an error if a model refuses a context.
pub fn estimate(grid: &Grid) -> Result<Estimates> {
    let jobs = grid.jobs.iter().map(estimate_job).collect::<Result<Vec<_>>>()?;
    let profiles = grid.profiles.iter().map(estimate_profile).collect::<Result<Vec<_>>>()?;
    let memory = grid.memory.iter().map(estimate_memory).collect::<Result<Vec<_>>>()?;
    Ok(Estimates { rows: grid.rows(), jobs, profiles, memory })
}

/// The estimated cost of one shard.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ShardEstimate {
    /// The number of the shard, from 1.
    pub shard: usize,
    /// The number of its contexts, over all studies.
    pub contexts: usize,
    /// The number of its rows of every kind, timings not counted.
    pub rows: usize,
    /// The seconds that it takes on this machine under its present load.
    pub seconds: f64,
    /// The peak bytes of memory: the program, weights, caches, activations and logits.
    pub bytes: u64,
}

/// Divides the estimates of a grid among `shards` shards, each context by its part of the cost of its job.
pub fn shard_estimates(grid: &Grid, estimates: &Estimates, shards: u32) -> Vec<ShardEstimate> {
    let empty = |shard| ShardEstimate { shard, contexts: 0, rows: 0, seconds: 0.0, bytes: 0 };
    let mut divided: Vec<ShardEstimate> = (1..=shards as usize).map(empty).collect();
    let contexts = contexts(grid);
    let estimate_of = |context: &WorkContext| match context.part {
        Part::Memory => &estimates.memory[context.job],
        Part::Profiles => &estimates.profiles[context.job],
        Part::Experiments => &estimates.jobs[context.job],
    };
    let mut costs: BTreeMap<(u8, usize), u64> = BTreeMap::new();
    let job = |context: &WorkContext| (context.part as u8, context.job);
    let weights = |context: &WorkContext| {
        let loaded = match context.part {
            Part::Memory => grid.memory[context.job].loaded(),
            Part::Profiles => Some(grid.profiles[context.job].loaded()),
            Part::Experiments => Some(&*grid.jobs[context.job].loaded),
        };
        loaded.map_or(0, |loaded| loaded.model.weight_bytes() as u64)
    };
    let all_weights = grid.weight_bytes();
    let mut calibrated = BTreeSet::new();
    contexts.iter().for_each(|context| *costs.entry(job(context)).or_default() += context.cost);
    for (context, shard) in contexts.iter().zip(assigned(&contexts, shards)) {
        let (estimate, shard) = (estimate_of(context), &mut divided[shard as usize]);
        if calibrated.insert((context.part as u8, context.job, shard.shard)) {
            shard.seconds += estimate.calibration_seconds;
        }
        shard.contexts += 1;
        shard.rows += context.rows;
        let measuring = estimate.seconds - estimate.calibration_seconds;
        shard.seconds += measuring * context.cost as f64 / costs[&job(context)].max(1) as f64;
        // A process loads all models, whichever it measures.
        shard.bytes = shard.bytes.max(all_weights + estimate.bytes.saturating_sub(weights(context)));
    }
    divided
}

fn estimate_profile(job: &ProfileJob) -> Result<Estimate> {
    let (loaded, windows) = (job.loaded(), job.windows()?);
    let first = &windows[..windows.len().min(1)];
    let per_text = seconds(|| profile::measure(loaded, first, "", &Silent).map(drop))?;
    let longest = first.iter().map(|window| window.tokens.len()).max().unwrap_or(0);
    Ok(Estimate {
        experiment: job.name().to_owned(),
        model: job.model().to_owned(),
        contexts: windows.len(),
        cells: job.rows() / windows.len().max(1),
        rows: job.rows(),
        seconds: per_text * windows.len() as f64,
        calibration_seconds: 0.0,
        bytes: peak::PROGRAM + loaded.model.weight_bytes() as u64 + peak::reading(loaded, longest),
    })
}

/// Estimates the cost of a memory study. Computing bytes takes no time; measuring them takes the time to read
/// the contexts.
fn estimate_memory(job: &MemoryJob) -> Result<Estimate> {
    let (contexts, tokens) = (job.contexts(), job.measured_tokens());
    let measuring_seconds = match (job.loaded(), tokens) {
        (Some(loaded), 1..) => {
            let probe = vec![loaded.config().bos_token_id.unwrap_or(0); tokens.min(PROBE)];
            let mut cache = loaded.model.new_cache();
            let probe_seconds = seconds(|| loaded.model.forward(&probe, &mut cache, None).map(drop))?;
            probe_seconds * tokens as f64 / probe.len() as f64
        }
        _ => 0.0,
    };
    Ok(Estimate {
        experiment: job.name().to_owned(),
        model: job.model().to_owned(),
        contexts,
        cells: job.rows() / contexts.max(1),
        rows: job.rows(),
        seconds: measuring_seconds,
        calibration_seconds: 0.0,
        bytes: peak::memory_study_bytes(job),
    })
}

fn estimate_job(job: &Job) -> Result<Estimate> {
    let model = &job.loaded.model;
    let mut estimate = Estimate {
        experiment: job.experiment.name.clone(),
        model: job.loaded.name.clone(),
        contexts: job.units.len(),
        cells: job.units.iter().map(|unit| job.cells_of(unit).count()).max().unwrap_or(0),
        rows: job.rows(),
        seconds: 0.0,
        calibration_seconds: 0.0,
        bytes: peak::experiment_bytes(job),
    };
    let Some(first) = job.units.first() else { return Ok(estimate) };
    let mut cache = model.new_cache();
    let prefill = seconds(|| model.forward(&first.context, &mut cache, None).map(drop))?;
    let per_token = seconds(|| {
        let after = vec![first.context[0]; scored(first).min(32)];
        let hidden = model.forward(&after, &mut cache.clone(), None)?.hidden;
        model.logits(&hidden).map(drop)
    })? / scored(first).min(32) as f64;
    let decode = seconds(|| model.decode(first.context[0], &mut cache.clone()).map(drop))?;

    let small = job.loaded.config().vocab_size <= SMALL_VOCABULARY;
    let chunked = job.cells.iter().filter(|cell| cell.axes.when.prefill_chunk.is_some()).count();
    let greedy = if job.wants(MetricGroup::FreeRunning) { GREEDY_TOKENS as f64 * decode } else { 0.0 };
    let unit_seconds = |unit: &Unit| {
        let scale = unit.context.len() as f64 / first.context.len() as f64;
        let is_text = matches!(unit.scored, Scored::Text { .. });
        let cell = per_token * scored(unit) as f64 + if is_text { greedy } else { 0.0 };
        prefill * scale * (1 + chunked) as f64 + cell * job.cells_of(unit).count() as f64
    };
    // A context that is read alone uses all cores; contexts that are read in parallel have one core each.
    let speedup = if small { 1.5 } else { 1.0 };
    let calibrated = job.calibration.profiled.as_ref();
    let calibration_tokens = calibrated.map_or(0, |(texts, tokens)| texts.all().len() * tokens);
    estimate.calibration_seconds = prefill * calibration_tokens as f64 / first.context.len() as f64;
    let measuring = job.units.iter().map(unit_seconds).sum::<f64>() / speedup;
    estimate.seconds = measuring + estimate.calibration_seconds;
    Ok(estimate)
}

/// Returns the number of tokens that are read after eviction.
pub(super) fn scored(unit: &Unit) -> usize {
    unit.scored.sequences().iter().map(Vec::len).sum()
}

/// Returns the seconds that `run` takes.
fn seconds<E>(run: impl FnOnce() -> Result<(), E>) -> Result<f64>
where
    Error: From<E>,
{
    let started = Instant::now();
    run()?;
    Ok(started.elapsed().as_secs_f64())
}
