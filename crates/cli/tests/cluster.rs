//! `experiments/cluster`: the shards of a run without Slurm.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{Place, grid::definition};

/// Returns the path of a file in the folder of examples.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/cluster").join(name)
}

/// Returns the command of the manifest: the lines of its only literal block, without their indentation.
fn kubernetes_command() -> String {
    let text = fs::read_to_string(example("kubernetes.yaml")).unwrap();
    let (before, block) = text.split_once("- |\n").expect("the manifest has a literal block");
    assert!(before.contains("command: [bash, -c]") && before.contains("completionMode: Indexed"));
    let indent = block.len() - block.trim_start_matches(' ').len();
    let is_inside = |line: &&str| line.len() > indent && line[..indent].trim().is_empty();
    block.lines().take_while(is_inside).map(|line| line[indent..].to_owned() + "\n").collect()
}

/// Returns a folder with a definition at `path`, and the rows of its run on one machine.
fn place_with_run(path: &str) -> (Place, Vec<u8>) {
    let place = Place::with_texts();
    // Texts are relative to the definition.
    place.write(path, definition(&[("\"texts\"", "\"../texts\""), ("first-gqa", "tiny-gqa")]));
    place.text(&["run", path, "--out", "runs/alone"]);
    let rows = fs::read(place.path("runs/alone/rows.csv")).unwrap();
    (place, rows)
}

#[test]
fn every_pod_of_the_kubernetes_job_runs_its_shard() {
    let (place, rows) = place_with_run("experiments/sinks.toml");
    for index in ["0", "1"] {
        let mut bash = Command::new("bash");
        bash.current_dir(place.path("")).arg("-c").arg(kubernetes_command());
        bash.env("JOB_COMPLETION_INDEX", index).env("SHARDS", "2").env("BITKV", env!("CARGO_BIN_EXE_bitkv"));
        let output = bash.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    place.text(&["merge", "runs/sinks", "runs/sinks.shards"]);
    assert!(fs::read(place.path("runs/sinks/rows.csv")).unwrap() == rows, "the rows differ");
}

#[test]
#[ignore = "needs GNU parallel: .ci/parallel.sh installs it"]
fn gnu_parallel_runs_and_merges_the_shards() {
    let (place, rows) = place_with_run("my experiments/sinks.toml");
    let mut script = Command::new(example("parallel.sh"));
    script.current_dir(place.path("")).env("BITKV", env!("CARGO_BIN_EXE_bitkv"));
    script.args(["my experiments/sinks.toml", "3", "runs/my run", "--jobs", "2"]);
    let output = script.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read(place.path("runs/my run/rows.csv")).unwrap() == rows, "the rows differ");
}
