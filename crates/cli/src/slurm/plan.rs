//! What every shard costs with the CPUs of a task.

use anyhow::Result;
use bitkv_lab::grid::{Grid, ShardEstimate, estimate, shard_estimates};
use bitkv_slurm::{Plan, PlannedShard};

/// Estimates every shard on this machine. With fewer CPUs than this machine has threads, a shard is expected
/// to take longer in proportion.
///
/// # Errors
/// When a model refuses a context.
pub(super) fn plan(grid: &Grid, shards: u32, cpus: usize) -> Result<Plan> {
    let slower = (rayon::current_num_threads() as f64 / cpus as f64).max(1.0);
    let planned = |estimate: ShardEstimate| {
        let ShardEstimate { shard, contexts, rows, seconds, bytes } = estimate;
        PlannedShard { shard, contexts, rows, seconds: seconds * slower, bytes }
    };
    Ok(Plan(shard_estimates(grid, &estimate(grid)?, shards).into_iter().map(planned).collect()))
}
