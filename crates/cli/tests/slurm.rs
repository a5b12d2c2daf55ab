//! `bitkv slurm` with stubs in the place of the programs of Slurm.

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;
use support::{Place, grid::definition, keys};

const SUBMIT: [&str; 7] = ["slurm", "submit", "small.toml", "--shards", "2", "--cpus", "1"];

/// A folder with the small definition and with stubs of Slurm that write their arguments to `log`.
fn cluster() -> Place {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[]));
    fs::create_dir(place.path("runs")).unwrap();
    stub(&place, "sbatch", "echo \"$@\" >> log\necho $((10 + $(wc -l < log)))");
    stub(&place, "squeue", "cat queue 2>/dev/null; exit 0");
    stub(&place, "scontrol", "cat \"$2\" 2>/dev/null || { echo 'Invalid job id specified' >&2; exit 1; }");
    stub(&place, "scancel", "echo cancel \"$@\" >> log");
    place
}

/// Writes a program of Slurm.
fn stub(place: &Place, name: &str, body: &str) {
    place.write(&format!("bin/{name}"), format!("#!/bin/bash\n{body}\n"));
    fs::set_permissions(place.path(&format!("bin/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Returns a command that finds the stubs, and programs of bash.
fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    command.env("PATH", format!("{}:/usr/bin:/bin", place.path("bin").display()));
    command
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Returns the document of a command that must succeed.
#[track_caller]
fn document(place: &Place, arguments: &[&str]) -> Value {
    let output = command(place, &[arguments, &["--json"]].concat()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Asserts that a command fails with one sentence that contains a text, and changes no file.
#[track_caller]
fn refuses(place: &Place, mut command: Command, part: &str) {
    let before = place.entries();
    let output = command.output().unwrap();
    let sentence = said(&output);
    assert_eq!(output.status.code(), Some(1), "{sentence}");
    assert!(sentence.starts_with("error: ") && sentence.lines().count() == 1, "{sentence}");
    assert!(sentence.contains(part), "{sentence}");
    assert_eq!(place.entries(), before);
}

fn log(place: &Place) -> String {
    fs::read_to_string(place.path("log")).unwrap_or_default()
}

/// Marks a shard as finished.
fn finish(place: &Place, shard: usize) {
    place.write(&format!("runs/small.shards/{shard}-of-2/manifest.json"), "{}");
}

#[test]
fn a_dry_run_prints_both_scripts_and_submits_nothing() {
    let place = cluster();
    let before = place.entries();
    let output = command(&place, &[&SUBMIT[..], &["--dry-run"]].concat()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["runs/small.shards/array.sbatch <==", "#SBATCH --array=1-2\n", "\nexec ", " merge "] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    assert_eq!((place.entries(), log(&place)), (before, String::new()));
    let shown = document(&place, &[&SUBMIT[..], &["--dry-run"]].concat());
    assert_eq!(keys(&shown), ["array", "merge", "plan", "submitted"]);
}

#[test]
fn shards_are_submitted_and_only_unfinished_ones_again() {
    let place = cluster();
    let first = document(&place, &SUBMIT);
    assert_eq!((&first["array_job"], &first["merge_job"]), (&11.into(), &12.into()));
    let folder = PathBuf::from(first["folder"].as_str().unwrap());
    let script = |name: &str| folder.join(name).display().to_string();
    let both = format!(
        "--parsable {}\n--parsable --dependency=afterany:11 {}\n",
        script("array.sbatch"),
        script("merge.sbatch")
    );
    assert_eq!(log(&place), both);
    let record: Value = serde_json::from_slice(&fs::read(folder.join("slurm.json")).unwrap()).unwrap();
    assert_eq!(
        keys(&record),
        ["definition", "definition_sha256", "directory", "out", "shards", "submissions"]
    );

    place.write("queue", "11|2|RUNNING|0:30|0|None|\n12|N/A|PENDING|0:00|0|Dependency|\n");
    refuses(
        &place,
        command(&place, &SUBMIT),
        "2 of the jobs that were submitted for runs/small are still in the queue",
    );
    let status = document(&place, &["slurm", "status", "runs/small"]);
    assert_eq!(
        (&status["shards"][0]["state"], &status["shards"][1]["state"]),
        (&"missing".into(), &"running".into())
    );
    assert_eq!((&status["shards"][1]["seconds_elapsed"], &status["merge"]), (&30.into(), &"queued".into()));
    assert_eq!(
        document(&place, &["slurm", "cancel", "runs/small"])["cancelled"],
        serde_json::json!([11, 12])
    );
    assert!(log(&place).ends_with("cancel 11 12\n"));

    place.write("queue", "");
    finish(&place, 1);
    let second = document(&place, &SUBMIT);
    assert_eq!(second["submitted"], serde_json::json!([2]));
    assert!(fs::read_to_string(folder.join("array.sbatch")).unwrap().contains("#SBATCH --array=2\n"));
    finish(&place, 2);
    let third = document(&place, &SUBMIT);
    assert_eq!((&third["array_job"], &third["submitted"]), (&Value::Null, &serde_json::json!([])));
    let last = log(&place).lines().last().unwrap().to_owned();
    assert_eq!(last, format!("--parsable {}", script("merge.sbatch")), "it waits for nothing");
    place.write("runs/small/manifest.json", "{}");
    refuses(&place, command(&place, &SUBMIT), "the run runs/small is finished: choose another --out");
    assert_eq!(document(&place, &["slurm", "status", "runs/small"])["merge"], "done");
}

#[test]
fn another_definition_and_other_shards_are_refused() {
    let place = cluster();
    document(&place, &SUBMIT);
    let other: Vec<&str> = SUBMIT.iter().map(|word| if *word == "2" { "3" } else { word }).collect();
    refuses(
        &place,
        command(&place, &other),
        "--shards 3: runs/small was submitted as 2 shards: use --shards 2",
    );
    place.write("small.toml", definition(&[("0.25", "0.2")]));
    refuses(
        &place,
        command(&place, &SUBMIT),
        "the definition small.toml has changed since runs/small was submitted",
    );
}

#[test]
fn what_slurm_refuses_is_quoted_and_leaves_nothing() {
    let place = cluster();
    let late = [&SUBMIT[..], &["--time", "2", "--signal-before", "120"]].concat();
    refuses(&place, command(&place, &late), "--signal-before 120: the time limit is 120 s");
    stub(
        &place,
        "sbatch",
        "echo 'sbatch: error: invalid partition specified: nope' >&2; echo more >&2; exit 1",
    );
    refuses(
        &place,
        command(&place, &SUBMIT),
        "sbatch failed with 'invalid partition specified: nope': change",
    );
    stub(&place, "scontrol", "echo 'MaxArraySize            = 2'");
    refuses(
        &place,
        command(&place, &SUBMIT),
        "--shards 2: the cluster allows task numbers up to 1 (MaxArraySize)",
    );
    let mut without = command(&place, &SUBMIT);
    without.env("PATH", place.path("texts"));
    refuses(&place, without, "the program sbatch was not found: use a machine on which Slurm is installed");
    stub(&place, "sbatch", "echo hello");
    stub(&place, "scontrol", "exit 1");
    let unclear = command(&place, &SUBMIT).output().unwrap();
    assert!(said(&unclear).contains("sbatch answered 'hello' instead of a job number"));
    assert!(place.path("runs/small.shards/array.sbatch").exists(), "the job may have been submitted");
}

#[test]
fn a_merge_job_that_is_refused_leaves_the_number_of_the_array() {
    let place = cluster();
    stub(
        &place,
        "sbatch",
        "case \"$*\" in *merge*) echo 'sbatch: error: full' >&2; exit 1;; esac; echo '7;cluster'",
    );
    let output = command(&place, &SUBMIT).output().unwrap();
    assert!(
        said(&output).contains(
            "the shards were submitted, but not the job that merges them: sbatch failed with 'full'"
        )
    );
    place.write("queue", "7|1|PENDING|0:00|0|Priority|\n");
    let status = document(&place, &["slurm", "status", "runs/small.shards"]);
    assert_eq!((&status["shards"][0]["state"], &status["merge"]), (&"queued".into(), &"missing".into()));
}

#[test]
fn the_status_without_slurm_comes_from_the_journals() {
    let place = cluster();
    document(&place, &SUBMIT);
    place.write("runs/small.shards/.2-of-2.partial/.bitkv-journal/rows.csv.journal", "a\nb\n1\n2\n3");
    finish(&place, 1);
    let mut status = place.command(&["slurm", "status", "runs/small"]);
    let output = status.env("PATH", place.path("texts")).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(
        output.status.success() && said(&output).starts_with("note: only the files of the shards are shown")
    );
    assert!(text.contains("1 of 2 shards done, 1 stopped") && text.contains("2 of "), "{text}");
    let place = cluster();
    refuses(&place, command(&place, &["slurm", "status", "runs/x"]), "nothing was submitted for");
    refuses(&place, command(&place, &["slurm", "cancel", "runs/x"]), "slurm.json");
}
