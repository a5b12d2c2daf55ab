//! The number of threads: all cores that this process may use, or what the environment asks for.

use std::{env, num::NonZero, thread};

use anyhow::{Result, ensure};
use bitkv_bench::MOST_THREADS;

/// The variables that say how many threads rayon starts.
const VARIABLES: [&str; 2] = ["RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS"];

/// Checks the variables of rayon, and limits the threads of this process to the CPUs of its Slurm task unless
/// one of them is set.
///
/// By default there is one thread for each core that the affinity and the quota of the cgroup allow, which
/// [`thread::available_parallelism`] reads. Without cgroups, a task of Slurm sees all cores of its node.
///
/// # Errors
/// When a variable is not a number, or asks for more threads than any machine runs.
pub(crate) fn limit() -> Result<()> {
    for name in VARIABLES {
        let Some(text) = env::var_os(name).filter(|text| !text.is_empty()) else { continue };
        let threads = text.to_str().and_then(|text| text.trim().parse::<usize>().ok());
        ensure!(
            threads.is_some_and(|threads| threads <= MOST_THREADS),
            "{name} is {}, which is not a possible number of threads: use 1 to {MOST_THREADS}, or 0 for all cores",
            text.display()
        );
    }
    let cpus =
        env::var("SLURM_CPUS_PER_TASK").ok().and_then(|cpus| cpus.trim().parse::<NonZero<usize>>().ok());
    let is_set = env::var_os(VARIABLES[0]).is_some();
    let Some(cpus) = cpus.filter(|_| !is_set) else { return Ok(()) };
    let cores = thread::available_parallelism().unwrap_or(cpus);
    // The pool exists only if a caller of this library has made it, and it is then the choice of the caller.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(cpus.min(cores).get()).build_global();
    Ok(())
}
