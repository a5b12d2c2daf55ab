//! What every shard costs with the CPUs of a task.

use anyhow::Result;
use bitkv_lab::grid::{self, Grid};
use bitkv_slurm::{Plan, PlannedShard};

/// Estimates every shard on this machine. With fewer CPUs than this machine has threads, a shard is expected
/// to take longer in proportion.
///
/// # Errors
/// When a model refuses a context, or there cannot be so many shards.
pub(super) fn plan(grid: &Grid, shards: usize, cpus: usize) -> Result<Plan> {
    let slower = (rayon::current_num_threads() as f64 / cpus as f64).max(1.0);
    let estimates = shard_estimates(grid, shards)?.into_iter();
    Ok(Plan(estimates.map(|shard| PlannedShard { seconds: shard.seconds * slower, ..shard }).collect()))
}

/// Returns the estimate of every shard.
fn shard_estimates(grid: &Grid, shards: usize) -> Result<Vec<PlannedShard>> {
    let estimates = grid::estimate(grid)?;
    let seconds: f64 = estimates.all().map(|estimate| estimate.seconds).sum();
    let bytes = estimates.all().map(|estimate| estimate.bytes).max().unwrap_or(0);
    let shard = |shard| PlannedShard {
        shard,
        contexts: 1,
        rows: estimates.rows / shards,
        seconds: seconds / shards as f64,
        bytes,
    };
    Ok((1..=shards).map(shard).collect())
}
