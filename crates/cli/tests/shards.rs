//! `bitkv run --shard` and `bitkv merge`: shards give the bytes of a single run, in spite of failures.

mod support;

use std::{
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use support::{
    Place, count,
    grid::{RUN, definition, rows},
    list,
};

/// The files that must be equal.
const FILES: [&str; 4] = ["rows.csv", "heads.csv", "memory.csv", "definition.toml"];

/// Studies of every kind, on two models.
const STUDIES: &str = r#"
[[profile]]
name = "entropies"
models = ["first-gqa", "first-mha"]
texts = "texts"
lengths = [32, 64]

[[memory]]
name = "bytes"
models = ["first-gqa"]
contexts = [32, 64]
accounting = ["actual", "measured"]
"#;

/// A definition with every kind of study. The passkeys fail in chunks, because they see the question.
fn studies() -> String {
    // Between them, these policies read everything that a prefill observes.
    let more = "\"uniform+random\", \"entropy+recency\", \"uniform+kvzip\", \"uniform+expected-attention\", \
                \"uniform+critical\", \"uniform+accumulated-attention\", \"uniform+key-diff\", \"cake\"";
    let policies = ("\"uniform+random\"", more);
    let tasks = "metrics = [\"kl\"]\ntasks = [\"text\", { kind = \"recall\", tokens = 64, count = 2, aware = true }]\n";
    let budgets = ("[1.0, 0.5, 0.25]", "[1.0, 0.25]");
    definition(&[("[\"first-gqa\"]", "[\"first-gqa\", \"first-mha\"]"), policies, budgets]) + tasks + STUDIES
}

/// Runs all shards. Returns their folder.
fn run_shards(place: &Place, shards: usize, options: &[&str]) -> String {
    let folder = format!("runs/{shards}.shards");
    for index in 1..=shards {
        let (shard, out) = (format!("{index}/{shards}"), format!("{folder}/{index}-of-{shards}"));
        place.text(&[&["run", "small.toml", "--shard", &shard, "--out", &out], options].concat());
    }
    folder
}

/// Asserts that two runs have the same rows, byte for byte.
#[track_caller]
fn assert_equal(place: &Place, first: &str, second: &str) {
    for file in FILES {
        let read = |run: &str| fs::read(place.path(run).join(file)).unwrap();
        assert!(read(first) == read(second), "{file} of {second} differs");
    }
}

#[test]
fn merged_shards_equal_a_single_run_byte_for_byte() {
    let place = Place::with_texts();
    place.write("small.toml", studies());
    let whole = place.json(&["run", "small.toml", "--out", RUN]);
    for (shards, options) in [
        (1, [].as_slice()),
        (3, &[]),
        (8, &["--snapshots", "snapshots"]),
        (64, &["--snapshots", "snapshots"]),
    ] {
        let folder = run_shards(&place, shards, options);
        let merged = format!("runs/merged-{shards}");
        let document = place.json(&["merge", &merged, &folder]);
        assert_eq!((count(&document["shards"]), &document["rows"]), (shards, &whole["rows"]));
        assert_equal(&place, RUN, &merged);
        assert!(place.path(&merged).join("report.html").exists());
        place.text(&["report", &merged]);
    }
    assert!(place.path("snapshots").read_dir().unwrap().count() > 0);
}

#[test]
fn snapshots_that_are_damaged_are_computed_again() {
    let place = Place::with_texts();
    place.write("small.toml", studies());
    place.text(&["run", "small.toml", "--out", RUN, "--snapshots", "snapshots"]);
    for entry in place.entries().iter().filter(|path| path.extension().is_some_and(|end| end == "snapshot")) {
        let mut bytes = fs::read(entry).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(entry, bytes).unwrap();
    }
    let output = place.run(&["run", "small.toml", "--out", "runs/again", "--snapshots", "snapshots"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("is damaged, so it is computed again"), "{said}");
    assert_equal(&place, RUN, "runs/again");
    let output = place.run(&["run", "small.toml", "--out", "runs/third", "--snapshots", "snapshots"]);
    assert!(!String::from_utf8(output.stderr).unwrap().contains("damaged"));
    assert_equal(&place, RUN, "runs/third");
}

#[test]
fn failed_cells_are_listed_with_a_command_that_measures_them_again() {
    let place = Place::with_texts();
    let chunked = "when = [\"once\", { prefill-chunk = 32 }]\n";
    place.write(
        "small.toml",
        studies().replace("metrics = [\"kl\"]\n", &format!("metrics = [\"kl\"]\n{chunked}")),
    );
    let single = place.run(&["run", "small.toml", "--out", RUN]);
    assert_eq!(single.status.code(), Some(1), "some cells fail");
    for index in ["1", "2"] {
        place.run(&["run", "small.toml", "--shard", &format!("{index}/2")]);
    }
    let output = place.run(&["merge", "runs/merged", "runs/small.shards", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_equal(&place, RUN, "runs/merged");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let failed = rows(&place.path(RUN)).iter().filter(|row| row.error.is_some()).count();
    assert!(failed > 0 && count(&document["failures"]) == failed, "{document}");
    let commands = list(&document["commands"]);
    assert!(!commands.is_empty());
    for command in commands {
        let words: Vec<&str> = command.as_str().unwrap().split(' ').skip(1).collect();
        let shard = words[words.iter().position(|word| *word == "--reuse").unwrap() + 1];
        let again = place.run(&[&words[..], &["--json"]].concat());
        let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
        let failed = rows(&place.path(shard)).iter().filter(|row| row.error.is_some()).count();
        assert_eq!(
            count(&again["rows"]) - count(&again["reused"]),
            failed,
            "exactly the failed cells: {again}"
        );
    }
    place.run(&["merge", "runs/again", "runs/small.shards"]);
    assert_equal(&place, RUN, "runs/again");
}

#[test]
fn rows_are_reused_where_nothing_changed() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[]));
    let first = place.json(&["run", "small.toml", "--out", RUN]);
    place.write(
        "small.toml",
        definition(&[("\"uniform+random\"", "\"uniform+random\", \"uniform+key-norm\"")]),
    );
    let second = place.json(&["run", "small.toml", "--out", "runs/second", "--reuse", RUN]);
    assert_eq!(second["reused"], first["rows"]);
    place.text(&["run", "small.toml", "--out", "runs/alone"]);
    let read = |run: &str| fs::read(place.path(run).join("rows.csv")).unwrap();
    assert!(read("runs/second") == read("runs/alone"));
    // A row that was measured with other metrics, or whose policy was written otherwise, is measured again.
    let changes = [
        ("calibration = ", "metrics = [\"kl\"]\ncalibration = ", 0),
        ("\"uniform+window-attention\"", "\"uniform + window-attention\"", count(&first["rows"]) - 6),
    ];
    for (from, to, reused) in changes {
        place.write("small.toml", definition(&[(from, to)]));
        let third = place.json(&["run", "small.toml", "--out", "runs/third", "--reuse", RUN]);
        place.text(&["run", "small.toml", "--out", "runs/fresh"]);
        assert_eq!(count(&third["reused"]), reused, "{third}");
        assert!(read("runs/third") == read("runs/fresh"));
        for run in ["runs/third", "runs/fresh"] {
            fs::remove_dir_all(place.path(run)).unwrap();
        }
    }
    place.refuses(
        &["run", "small.toml", "--out", "runs/third", "--reuse", "texts"],
        &["'texts' is not a finished run"],
    );
}

#[test]
fn a_run_that_is_asked_to_stop_says_that_it_must_run_again() {
    let place = Place::with_texts();
    let budgets: Vec<String> = (1..=100).map(|part| format!("{:.2}", f64::from(part) / 100.0)).collect();
    let long =
        definition(&[("[1.0, 0.5, 0.25]", &format!("[{}]", budgets.join(", ")))]) + "metrics = [\"kl\"]\n";
    place.write("small.toml", long);
    place.text(&["run", "small.toml", "--out", RUN]);
    let arguments = ["run", "small.toml", "--shard", "1/1"];
    let mut command = place.command(&arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let journal = place.path("runs/small.shards/.1-of-1.partial/.bitkv-journal/rows.csv.journal");
    let started = Instant::now();
    while fs::read(&journal).unwrap_or_default().len() < 10_000 {
        assert!(started.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none());
        sleep(Duration::from_millis(2));
    }
    // Another process finds the run locked, and leaves it alone.
    let other = place.run(&arguments);
    let said = String::from_utf8(other.stderr).unwrap();
    assert_eq!(other.status.code(), Some(75), "{said}");
    assert!(said.contains("is being written by process "), "{said}");
    Command::new("kill").args(["-USR1", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(75));
    place.text(&arguments);
    place.text(&[&arguments[..], &["--if-needed"]].concat());
    // What is finished must be what is asked for.
    let shard = "runs/small.shards/1-of-1";
    place.refuses(
        &["run", "small.toml", "--out", shard, "--if-needed"],
        &["1-of-1 is another run", "another --out"],
    );
    place.write("other.toml", definition(&[("horizon = 16", "horizon = 17")]));
    place.refuses(&["run", "other.toml", "--out", RUN, "--if-needed"], &["runs/small is another run"]);
    place.text(&["merge", "runs/merged", "runs/small.shards"]);
    let read = |run: &str| fs::read(place.path(run).join("rows.csv")).unwrap();
    assert!(read(RUN) == read("runs/merged"));
}

#[test]
fn shards_are_estimated() {
    let place = Place::with_texts();
    place.write("small.toml", studies());
    let document = place.json(&["run", "small.toml", "--dry-run", "--shards", "5"]);
    let shards = list(&document["shards"]);
    let rows: usize = shards.iter().map(|shard| count(&shard["rows"])).sum();
    assert_eq!((shards.len(), rows), (5, count(&document["rows"])));
    let table = place.text(&["run", "small.toml", "--dry-run", "--shards", "100"]);
    assert!(table.contains("of them empty; the longest takes about") && table.contains("100/100"), "{table}");
}

#[test]
fn impossible_shards_are_refused() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[]));
    let usage = |arguments: &[&str]| {
        let output = place.run(&[&["run", "small.toml"], arguments].concat());
        assert_ne!(output.status.code(), Some(0));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(usage(&["--shard", "9/8"]).contains("there are 8 shards, so write 1/8 to 8/8"));
    assert!(usage(&["--shard", "0/8"]).contains("numbered from 1"));
    assert!(usage(&["--shards", "8"]).contains("--dry-run"));
    place.write("file", "");
    place.refuses(
        &["run", "small.toml", "--shard", "1/2", "--snapshots", "file/s"],
        &["--snapshots: the folder file/s cannot be created"],
    );
    place.text(&["run", "small.toml", "--shard", "1/2"]);
    place.refuses(&["run", "small.toml", "--shard", "1/2"], &["1-of-2", "never overwritten"]);
    place.refuses(&["merge", "runs/merged", "texts"], &["'texts' is neither a finished shard nor"]);
    let output = place.run(&["merge", "runs/merged", "runs/small.shards"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("1 of 2 shards are missing") && said.lines().count() == 1, "{said}");
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(listed.contains("bitkv run small.toml --shard 2/2 --out runs/small.shards/2-of-2"), "{listed}");
    place.text(&["run", "small.toml", "--shard", "2/2"]);
    place.text(&["merge", "runs/merged", "runs/small.shards", "--check"]);
    assert!(!place.path("runs/merged").exists());
    place.text(&["run", "small.toml", "--out", "runs/whole"]);
    place.refuses(&["merge", "runs/merged", "runs/whole"], &["is a whole run and no shard of one"]);
}
