//! Inputs that people report: every command runs on each, and exit codes, messages and tokens are compared
//! with `testdata/inputs/expected.txt`. `testdata/inputs/make.py` makes the inputs; its first lines say how
//! to add one.

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::Value;
use support::model::tensors;
use tempfile::TempDir;

/// The prompt as text, which has tokens in the vocabulary of every case, and as ids.
const PROMPT: &str = "hi on the hill";
const IDS: &str = "[0, 40, 45, 18, 31, 37, 30, 32]";

/// The longest time that a command may take. The slowest takes less than a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The commands that run on each model. `MODEL` is its path.
const COMMANDS: [(&str, &[&str]); 11] = [
    ("inspect", &["inspect", "MODEL"]),
    ("doctor", &["doctor", "MODEL"]),
    ("memory", &["memory", "--model", "MODEL"]),
    (
        "generate",
        &["generate", "--model", "MODEL", "--prompt", PROMPT, "--max-tokens", "6", "--greedy", "--json"],
    ),
    (
        "generate --chat",
        &[
            "generate",
            "--model",
            "MODEL",
            "--chat",
            "--prompt",
            PROMPT,
            "--max-tokens",
            "6",
            "--greedy",
            "--json",
        ],
    ),
    (
        "generate --tokens",
        &["generate", "--model", "MODEL", "--tokens", "ids.json", "--max-tokens", "6", "--greedy", "--json"],
    ),
    ("trace", &["trace", "--model", "MODEL", "--tokens", "ids.json", "--out", "trace.safetensors"]),
    ("profile", &["profile", "--model", "MODEL", "--tokens", "ids.json", "--json"]),
    (
        "plan",
        &[
            "plan", "--model", "MODEL", "--tokens", "ids.json", "--policy", "snapkv", "--budget", "0.5",
            "--json",
        ],
    ),
    ("convert --to packed", &["convert", "MODEL", "folder", "--to", "packed"]),
    ("convert --to i2_s", &["convert", "MODEL", "out.gguf", "--to", "i2_s"]),
];

/// A case of `cases.json`.
#[derive(Deserialize)]
struct Case {
    name: String,
    what: String,
    /// The files of the base model that the case lacks.
    without: Vec<String>,
    /// The case whose logits this one must have.
    equals: Option<String>,
    /// The file in the case's folder that is the model; `None` if the folder is.
    model: Option<String>,
    /// The commands to run in the case's folder; `None` to run [`COMMANDS`].
    commands: Option<Vec<Vec<String>>>,
}

/// What the commands print for a case, and the logits that `trace` writes.
struct Outcome {
    text: String,
    logits: Option<Vec<f32>>,
}

fn inputs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/inputs")
}

fn cases() -> Vec<Case> {
    serde_json::from_slice(&fs::read(inputs().join("cases.json")).unwrap()).unwrap()
}

/// Copies the files of a folder, at any depth.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Runs the program in a folder, and kills it when it takes longer than [`PATIENCE`].
fn output(folder: &Path, arguments: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bitkv"));
    command.current_dir(folder).args(arguments).env("RAYON_NUM_THREADS", "1").env("HF_HUB_OFFLINE", "1");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || std::io::read_to_string(stdout).unwrap());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut output = child.wait_with_output().unwrap();
    output.stdout = reader.join().unwrap().into_bytes();
    output
}

/// Returns the exit code, the notes and errors, and the tokens, if the command prints a document that has
/// some.
fn summary(output: &Output) -> String {
    let mut lines = vec![output.status.code().map_or("killed".into(), |code| code.to_string())];
    let said = String::from_utf8_lossy(&output.stderr);
    let prefixes = ["note: ", "warning: ", "error: ", "thread "];
    lines.extend(said.lines().filter(|line| prefixes.iter().any(|p| line.starts_with(p))).map(String::from));
    // The doctor prints its findings on standard output.
    let printed = String::from_utf8_lossy(&output.stdout);
    lines.extend(printed.lines().filter(|line| line.starts_with("fault ")).map(String::from));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    for key in ["prompt_tokens", "tokens"] {
        if document[key].is_array() {
            lines.push(format!("{key} {}", document[key]));
        }
    }
    if let Some(rows) = document["rows"].as_u64() {
        lines.push(format!("{rows} rows"));
    }
    lines.join("\n    ")
}

/// Runs all commands on a case.
fn outcome(case: &Case) -> Outcome {
    let place = TempDir::new().unwrap();
    let model = place.path().join("m");
    copy(&inputs().join("base"), &model);
    for file in &case.without {
        fs::remove_file(model.join(file)).unwrap();
    }
    let own = inputs().join("cases").join(&case.name);
    if own.exists() {
        copy(&own, &model);
    }
    fs::write(place.path().join("ids.json"), IDS).unwrap();
    let named = case.model.as_ref().map_or("m".into(), |file| format!("m/{file}"));
    let runs: Vec<(String, PathBuf, Vec<String>)> = match &case.commands {
        Some(commands) => commands.iter().map(|c| (c.join(" "), model.clone(), c.clone())).collect(),
        None => COMMANDS
            .iter()
            .map(|(name, arguments)| {
                let filled = |a: &&str| if *a == "MODEL" { named.clone() } else { a.to_string() };
                (name.to_string(), place.path().into(), arguments.iter().map(filled).collect())
            })
            .collect(),
    };
    let mut results: Vec<(Vec<String>, String)> = Vec::new();
    for (name, folder, arguments) in runs {
        let result = summary(&output(&folder, &arguments));
        match results.iter_mut().find(|(_, other)| *other == result) {
            Some((names, _)) => names.push(name),
            None => results.push((vec![name], result)),
        }
    }
    let mut text = format!("# {}: {}\n", case.name, case.what);
    for (names, result) in results {
        text += &format!("  {}: {result}\n", names.join(", "));
    }
    let trace = place.path().join("trace.safetensors");
    Outcome { text, logits: trace.exists().then(|| tensors(&trace)["logits"].f32s()) }
}

/// Runs all commands on all cases, on all processors.
fn outcomes(cases: &[Case]) -> BTreeMap<&str, Outcome> {
    let (next, found) = (Mutex::new(cases.iter()), Mutex::new(BTreeMap::new()));
    let worker = || {
        loop {
            let Some(case) = next.lock().unwrap().next() else { break };
            let outcome = outcome(case);
            found.lock().unwrap().insert(&case.name[..], outcome);
        }
    };
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(worker))));
    found.into_inner().unwrap()
}

/// Returns whether logits are equal but for the order of summation, which depends on how an embedding is
/// stored.
fn are_equal(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4)
}

/// Panics, aborts and endless commands are never right, even if they are expected.
fn assert_no_crash(case: &str, text: &str) {
    for crash in ["thread ", ": 101", ": killed", "panicked"] {
        assert!(!text.contains(crash), "{case} crashes:\n{text}");
    }
}

#[test]
fn every_command_does_what_is_expected_with_every_input() {
    let cases = cases();
    let outcomes = outcomes(&cases);
    let text: String = cases.iter().map(|case| format!("{}\n", outcomes[&case.name[..]].text)).collect();
    let path = inputs().join("expected.txt");
    if std::env::var_os("BITKV_WRITE_INPUTS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    for case in &cases {
        let outcome = &outcomes[&case.name[..]];
        assert_no_crash(&case.name, &outcome.text);
        if let Some(other) = &case.equals {
            let found = outcome.logits.as_ref().unwrap_or_else(|| panic!("{} cannot run", case.name));
            let wanted = outcomes[&other[..]].logits.as_ref().expect("the other case runs");
            assert!(are_equal(found, wanted), "the logits of {} and {other} differ", case.name);
        }
    }
    let expected = fs::read_to_string(path).unwrap();
    for (found, expected) in text.split("\n\n").zip(expected.split("\n\n")) {
        assert_eq!(
            found, expected,
            "read the difference; if it is right, write it with BITKV_WRITE_INPUTS=1"
        );
    }
    assert_eq!(text.len(), expected.len(), "cases were added: write them with BITKV_WRITE_INPUTS=1");
}
