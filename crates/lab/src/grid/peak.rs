//! The memory that a run takes at its peak, estimated before anything is measured. The estimates are upper
//! ones: on the built-in models they are at most about a third above what was measured.

use std::path::Path;

use bitkv_bytes::{MemoryLimit, check_disk};
use bitkv_models::LoadedModel;

use super::{
    batch,
    estimate::scored,
    in_parallel::SMALL_VOCABULARY,
    job::{Grid, Job},
    memory::MemoryJob,
    profiles::ProfileJob,
    unit::Unit,
};
use crate::{Result, memory::kv_bytes};

/// The bytes of the program, its threads, its texts and its tokenizers.
pub(super) const PROGRAM: u64 = 40 << 20;
/// The tokens that a forward pass computes at once.
const BLOCK: usize = 512;
/// The bytes of a row on disk, in the journal, in the file of rows and in the report.
const ROW: u64 = 4096;

/// Checks before a run that its memory and its disk can be had.
///
/// # Errors
/// Fails if one of them cannot. The message has both numbers.
pub fn check_resources(grid: &Grid, folder: &Path, limit: MemoryLimit) -> Result<()> {
    let of_jobs = grid.jobs.iter().map(cells);
    let of_profiles = grid.profiles.iter().map(profile).collect::<Result<Vec<_>>>()?;
    let of_memory = grid.memory.iter().map(memory_study);
    // The weights are loaded, so the available memory is already smaller by them. So it is by the program.
    let needed = of_jobs.chain(of_profiles).chain(of_memory).max().unwrap_or(0);
    let refuse = |error: bitkv_bytes::TooLarge| crate::Error::Unfit(error.to_string());
    limit.check("the run", needed).map_err(refuse)?;
    let rows = (grid.rows() as u64).saturating_mul(ROW);
    check_disk(folder, "the run", rows).map_err(refuse)
}

/// Returns the peak bytes of an experiment.
pub(super) fn experiment_bytes(job: &Job) -> u64 {
    let truth = job.truth.as_ref().map_or(0, |truth| truth.model.weight_bytes() as u64);
    PROGRAM + job.loaded.model.weight_bytes() as u64 + truth + cells(job)
}

/// Returns the peak bytes of a memory study.
pub(super) fn memory_study_bytes(job: &MemoryJob) -> u64 {
    PROGRAM + job.loaded().map_or(0, |loaded| loaded.model.weight_bytes() as u64) + memory_study(job)
}

/// Returns the bytes of reading one context, without the weights.
pub(super) fn reading(loaded: &LoadedModel, tokens: usize) -> u64 {
    kv_bytes(loaded.config(), tokens) + loaded.model.activation_bytes(tokens) as u64
}

fn profile(job: &ProfileJob) -> Result<u64> {
    let windows = job.windows()?;
    let longest = windows.iter().map(|window| window.tokens.len()).max();
    Ok(reading(job.loaded(), longest.unwrap_or(0)))
}

fn memory_study(job: &MemoryJob) -> u64 {
    let longest = job.lengths().into_iter().max().unwrap_or(0);
    job.measuring_model().map_or(0, |loaded| reading(loaded, longest))
}

/// Returns the bytes of all contexts that run in parallel, each with a batch of its cells.
fn cells(job: &Job) -> u64 {
    let small = job.loaded.config().vocab_size <= SMALL_VOCABULARY;
    let parallel = if small { rayon::current_num_threads().min(job.units.len()) } else { 1 };
    let largest = job.units.iter().map(|unit| batch_bytes(job, unit)).max();
    largest.unwrap_or(0).saturating_mul(parallel as u64)
}

/// Returns the bytes that one context takes while a batch of its cells runs: its cache and observation, the
/// compressed copies, the logits of all of them, and the activations.
fn batch_bytes(job: &Job, unit: &Unit) -> u64 {
    let config = job.loaded.config();
    let (context, tokens) = (unit.context.len(), scored(unit));
    let cache = kv_bytes(config, context + tokens);
    let cells = batch::size(job, unit, cache as usize).min(job.cells_of(unit).count());
    let logits = (tokens * config.vocab_size * size_of::<f32>()) as u64;
    let activations = job.loaded.model.activation_bytes(context.max(cells * tokens).min(BLOCK)) as u64;
    // The context has its cache and an observation with keys and values in f32. Each cell has a compressed
    // cache, and a copy of it for the greedy continuation.
    let caches = 3 + 2 * cells as u64;
    caches * cache + (2 + cells as u64) * logits + activations
}
