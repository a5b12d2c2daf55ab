//! Every command survives a fault at every change of the disk: it says so in one sentence, nothing wrong
//! stays under a final name, and the same command then ends as if nothing had happened.
//!
//! The variable `BITKV_FAULT` of the program lets one change fail. The tests take a sample of the changes;
//! with `BITKV_ALL_FAULTS=1` they take all of them, which lasts minutes.

mod support;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Output,
};

use support::{Place, grid::definition};

/// What can go wrong, and into how many parts the sample divides the changes.
const KINDS: [(&str, usize); 5] = [("kill", 8), ("full", 8), ("error", 8), ("short", 3), ("interrupted", 3)];

/// A command that writes into the folder `out`.
struct Case<'a> {
    command: &'a [&'a str],
    /// Files whose content depends on the time, or says what happened in the attempt.
    varies: &'a [&'a str],
}

/// The content of every file, and the names of empty folders.
type Content = BTreeMap<PathBuf, Vec<u8>>;

impl Case<'_> {
    /// Runs the command without a fault and with faults at a sample of its changes.
    fn check(&self, place: &Place) {
        let log = place.path("changes.log");
        fs::create_dir_all(place.path("out")).unwrap();
        let whole = self.run(place, &format!("log:{}", log.display()));
        assert!(whole.status.success(), "{:?}: {}", self.command, said(&whole));
        let (expected, changes) = (content(place), fs::read_to_string(&log).unwrap());
        check_order(&changes);
        let count = changes.lines().count();
        let all = std::env::var_os("BITKV_ALL_FAULTS").is_some();
        let mut tried = 0;
        for (kind, parts) in KINDS {
            let step = if all { 1 } else { count.div_ceil(parts) };
            for at in (1..=count).rev().step_by(step) {
                self.check_fault(place, &format!("{kind}@{at}"), &expected);
                tried += 1;
            }
        }
        println!("{}: {count} changes, {tried} faults", self.command[..2].join(" "));
    }

    /// Lets one change fail, and repeats the command.
    fn check_fault(&self, place: &Place, fault: &str, expected: &Content) {
        fs::remove_dir_all(place.path("out")).unwrap();
        fs::create_dir(place.path("out")).unwrap();
        let failed = self.run(place, fault);
        let about = format!("{:?} with {fault}: {}", self.command, said(&failed));
        match failed.status.code() {
            // The change was one without consequences, apart from hidden files that the next attempt removes.
            Some(0) => {
                let found = content(place);
                let left = |path: &&PathBuf| !is_hidden(place, path);
                let names = found.keys().filter(left).collect::<Vec<_>>();
                assert_eq!(names, expected.keys().filter(left).collect::<Vec<_>>(), "{about}");
            }
            Some(1) => {
                assert!(fault.starts_with("full") || fault.starts_with("error"), "{about}");
                let errors = said(&failed).lines().filter(|line| line.starts_with("error: ")).count();
                assert!(errors == 1 && !about.contains("panicked"), "{about}");
            }
            _ => assert!(fault.starts_with("kill") && failed.status.signal() == Some(9), "{about}"),
        }
        // `verify` would begin another run beside a complete one.
        if self.command[0] == "verify" && place.path("out/verify").exists() {
            return;
        }
        let repeated = self.run(place, "kill@1000000000");
        let about = format!("{about}, then: {}", said(&repeated));
        // What was complete before the fault is not written again.
        let is_complete = ["exists", "finished", "not empty", "not an empty folder"]
            .iter()
            .any(|word| said(&repeated).contains(word));
        assert!(repeated.status.success() || is_complete, "{about}");
        self.assert_whole(place, expected, &about);
    }

    fn run(&self, place: &Place, fault: &str) -> Output {
        place.command(self.command).env("BITKV_FAULT", fault).output().unwrap()
    }

    /// Asserts that the output is that of an attempt without faults, and that nothing else is left.
    fn assert_whole(&self, place: &Place, expected: &Content, about: &str) {
        let found = content(place);
        let names = |content: &Content| content.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(expected), "{about}");
        for (path, bytes) in &found {
            let varies = self.varies.iter().any(|name| path.ends_with(name));
            assert!(varies || *bytes == expected[path], "{about}: {} differs", path.display());
        }
    }
}

/// Whether a name on the path below the folder `out` begins with a dot.
fn is_hidden(place: &Place, path: &Path) -> bool {
    let below = path.strip_prefix(place.path("out")).unwrap();
    below.iter().any(|name| name.to_string_lossy().starts_with('.'))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns everything in the folder `out`.
fn content(place: &Place) -> Content {
    fn collect(folder: &Path, found: &mut Content) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Snapshots are a cache, which a run can do without.
            if path.ends_with("out/snapshots") {
                continue;
            }
            if path.is_dir() {
                found.insert(path.clone(), Vec::new());
                collect(&path, found);
            } else {
                found.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
    }
    let mut found = Content::new();
    collect(&place.path("out"), &mut found);
    found
}

/// Asserts that every file was synced after its last write and before it was renamed, and every folder after
/// a name in it changed.
fn check_order(changes: &str) {
    let mut unsynced = Vec::<&str>::new();
    let lines: Vec<(&str, &str)> = changes.lines().filter_map(|line| line.split_once(' ')).collect();
    for (number, (change, path)) in lines.iter().enumerate() {
        match *change {
            "Write" if path.ends_with(".tmp") && !unsynced.contains(path) => unsynced.push(path),
            "Sync" => unsynced.retain(|other| other != path),
            "Rename" => {
                let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
                let draft = format!("{parent}/.{name}.bitkv-");
                assert!(!unsynced.iter().any(|other| other.starts_with(&draft)), "{path} was not synced");
                assert_eq!(lines.get(number + 1), Some(&("Sync", parent)), "after the name of {path}");
            }
            _ => {}
        }
    }
}

/// A run with rows of every kind.
fn run_definition() -> String {
    definition(&[("[1.0, 0.5, 0.25]", "[1.0, 0.25]")])
        + "metrics = [\"kl\", \"timing\"]\n\n[[profile]]\nname = \"p\"\nmodels = [\"first-gqa\"]\ntexts = \"texts\"\n\
           lengths = [32]\n\n[[memory]]\nname = \"m\"\nmodels = [\"first-gqa\"]\ncontexts = [64]\n"
}

/// Files of a run that say when and how long it ran.
const RUN_VARIES: [&str; 4] = ["manifest.json", "timings.csv", "report.md", "report.html"];

#[test]
fn run() {
    let place = Place::with_texts();
    place.write("small.toml", run_definition());
    let command = ["run", "small.toml", "--out", "out/run"];
    Case { command: &command, varies: &RUN_VARIES }.check(&place);
}

#[test]
fn run_with_snapshots() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[("[1.0, 0.5, 0.25]", "[1.0]")]));
    let command =
        ["run", "small.toml", "--shard", "1/2", "--out", "out/shard", "--snapshots", "out/snapshots"];
    Case { command: &command, varies: &RUN_VARIES }.check(&place);
}

#[test]
fn merge() {
    let place = Place::with_texts();
    place.write("small.toml", run_definition());
    for shard in ["1/2", "2/2"] {
        let out = format!("shards/{}", shard.replace('/', "-of-"));
        place.text(&["run", "small.toml", "--shard", shard, "--out", &out]);
    }
    Case { command: &["merge", "out/run", "shards"], varies: &RUN_VARIES }.check(&place);
}

#[test]
fn convert() {
    let place = Place::new();
    Case { command: &["convert", "first-gqa", "out/packed", "--to", "packed"], varies: &[] }.check(&place);
    fs::remove_dir_all(place.path("out")).unwrap();
    Case { command: &["convert", "first-gqa", "out/a.gguf", "--to", "i2_s"], varies: &[] }.check(&place);
}

#[test]
fn random() {
    let place = Place::new();
    Case { command: &["random", "--shape", "tiny-gqa", "--out", "out/random"], varies: &[] }.check(&place);
}

#[test]
fn train() {
    let place = Place::with_corpus();
    let command = [
        "train",
        "--recipe",
        "recipe.toml",
        "--corpus",
        "corpus",
        "--out",
        "out/run",
        "--export",
        "out/model",
    ];
    // The log and the checkpoint have the seconds of the training; the exported weights are compared.
    let varies = ["log.csv", "training-log.csv", "checkpoint.safetensors", "README.md"];
    Case { command: &command, varies: &varies }.check(&place);
}

#[test]
fn exports() {
    let place = Place::with_texts();
    place.tokens("tokens.json", 64);
    let [plan, profile, trace] = [
        &[
            "plan",
            "--model",
            "first-gqa",
            "--tokens",
            "tokens.json",
            "--policy",
            "snapkv",
            "--export",
            "out/plan.json",
        ],
        &[
            "profile",
            "--model",
            "first-gqa",
            "--tokens",
            "tokens.json",
            "--out",
            "out/profile.json",
            "--json",
            "--quiet",
        ],
        &[
            "trace",
            "--model",
            "first-gqa",
            "--tokens",
            "tokens.json",
            "--out",
            "out/t.safetensors",
            "--json",
            "--quiet",
        ],
    ];
    for command in [&[&plan[..], &["--budget", "0.5"]].concat()[..], profile, trace] {
        Case { command, varies: &["profile.json"] }.check(&place);
        fs::remove_dir_all(place.path("out")).unwrap();
    }
}

#[test]
fn reports() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[("[1.0, 0.5, 0.25]", "[1.0, 0.5]")]));
    place.text(&["run", "small.toml", "--out", "runs/a"]);
    let board = ["leaderboard", "runs", "--out", "out/page.html"];
    let compare = ["compare", "runs/a", "runs/a", "--out", "out/comparison.md"];
    for command in [&board[..], &compare] {
        Case { command, varies: &[] }.check(&place);
        fs::remove_dir_all(place.path("out")).unwrap();
    }
}

#[test]
fn verify() {
    let place = Place::new();
    let command = [
        "verify",
        "--model",
        "first-gqa",
        "--policy",
        "uniform+recency",
        "--budget",
        "0.5",
        "--recalls",
        "1",
        "--calibration-tokens",
        "64",
        "--context-tokens",
        "64",
        "--scored-tokens",
        "8",
        "--out",
        "out/verify",
    ];
    Case { command: &command, varies: &RUN_VARIES }.check(&place);
}
