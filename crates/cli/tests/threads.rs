//! The number of threads in a job of Slurm, as the manifest of a run records it.

mod support;

use bitkv_record::Manifest;
use support::{
    Place,
    grid::{RUN, definition},
};

/// Runs the small definition with these variables, and returns the number of threads.
fn threads(variables: &[(&str, &str)]) -> usize {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[("[1.0, 0.5, 0.25]", "[1.0]")]));
    let mut command = place.command(&["run", "small.toml", "--out", RUN]);
    command.env_remove("RAYON_NUM_THREADS").env_remove("SLURM_CPUS_PER_TASK");
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Manifest::read(&place.path(RUN).join("manifest.json")).unwrap().threads
}

#[test]
fn a_task_uses_the_cpus_that_it_has() {
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(threads(&[("SLURM_CPUS_PER_TASK", "1")]), 1);
    assert_eq!(threads(&[("SLURM_CPUS_PER_TASK", "100000")]), cores, "never more than the cores");
    assert_eq!(threads(&[("SLURM_CPUS_PER_TASK", "0")]), cores);
    assert_eq!(threads(&[("SLURM_CPUS_PER_TASK", "many")]), cores);
    assert_eq!(threads(&[("SLURM_CPUS_PER_TASK", "1"), ("RAYON_NUM_THREADS", "3")]), 3, "the user decides");
}
