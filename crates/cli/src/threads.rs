//! The number of threads in a job of Slurm.

use std::{env, num::NonZero, thread};

/// Limits the threads of this process to the CPUs of its Slurm task, unless `RAYON_NUM_THREADS` is set.
///
/// Without cgroups, a task of Slurm sees all cores of its node. A task never gets more threads than the cores
/// that it may use, which [`thread::available_parallelism`] reads from the affinity and the cgroup.
pub(crate) fn limit_to_task() {
    let cpus =
        env::var("SLURM_CPUS_PER_TASK").ok().and_then(|cpus| cpus.trim().parse::<NonZero<usize>>().ok());
    let Some(cpus) = cpus.filter(|_| env::var_os("RAYON_NUM_THREADS").is_none()) else { return };
    let cores = thread::available_parallelism().unwrap_or(cpus);
    // The pool exists only if a caller of this library has made it, and it is then the choice of the caller.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(cpus.min(cores).get()).build_global();
}
