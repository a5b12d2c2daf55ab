//! Snapshots of what users see: help, tables, reports and errors. A change of any of them fails a test until
//! the new text is accepted, with `INSTA_UPDATE=always cargo test --release --workspace --test snapshots`.

mod support;

use std::{collections::BTreeSet, fs, path::Path};

use bitkv_report::{RecordedRun, render_markdown};
use support::{Place, grid::definition};

/// The topics of `bitkv list` whose tables have a snapshot.
const LISTS: [&str; 5] = ["models", "policies", "presets", "metrics", "commands"];
/// The committed runs whose reports have a snapshot.
const TERMINAL: &str = "results/verify-2";
const MARKDOWN: &str = "results/gqa-pooling-2";

/// Commands that are refused, each with the file that it reads.
const REFUSED: [&str; 20] = [
    "plan --model first-gqa --tokens tokens.json --policy snapkv --budget 1.5",
    "plan --model first-gqa --tokens tokens.json --policy snapkv --budget 50%",
    "plan --model first-gqa --tokens tokens.json --policy uniform+nonsense --budget 0.5",
    "plan --model first-gqa --tokens tokens.json --policy snapkv",
    "generate --model tiny-gqb --prompt words",
    "generate --model first-gqa --tokens absent.json",
    "generate --model first-gqa --prompt words --lm-head int8",
    "memory --model BitNet-b1.58-2B-4T --accounting honest",
    "memory --model BitNet-b1.58-2B-4T --fit 0",
    "random --shape nothing --out folder",
    "convert first-gqa out.gguf --to i3_s",
    "inspect texts",
    "run absent.toml",
    "run gaps.toml --dry-run",
    "report texts",
    "sweep --model first-gqa --policies snapkv --ratios 1x",
    "list policies snapvk",
    "man verfy",
    "verfy",
    "list --quiet --verbose",
];

/// Compares a text with its snapshot.
#[track_caller]
fn check(name: &str, text: &str) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

/// Returns the names of the commands.
fn commands() -> Vec<String> {
    bitkv_cli::command_line().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// Returns the path of something in the repository.
fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Returns standard output, standard error and the exit code of a command in a pipe of 120 columns.
fn shown(place: &Place, line: &str) -> String {
    let arguments: Vec<&str> = line.split(' ').collect();
    let mut command = place.command(&arguments);
    let output = command.env("COLUMNS", "120").env_remove("CLICOLOR_FORCE").output().unwrap();
    let texts = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let code = output.status.code().unwrap();
    format!("$ bitkv {line}\n{}exit code {code}\n", texts.concat())
}

#[test]
fn help() {
    let place = Place::new();
    check("help", &shown(&place, "--help"));
    for command in commands() {
        check(&format!("help-{command}"), &shown(&place, &format!("{command} --help")));
    }
}

#[test]
fn tables() {
    let place = Place::new();
    for topic in LISTS {
        check(&format!("list-{topic}"), &shown(&place, &format!("list {topic}")));
    }
}

#[test]
fn reports() {
    let place = Place::new();
    fs::create_dir(place.path("results")).unwrap();
    std::os::unix::fs::symlink(repository(TERMINAL), place.path(TERMINAL)).unwrap();
    check("report-terminal", &shown(&place, &format!("report {TERMINAL}")));
    // The report shows this path, so it must be the same on every machine. Tests run in the folder of their
    // crate.
    let recorded = RecordedRun::read(&Path::new("../..").join(MARKDOWN)).unwrap();
    check("report-markdown", &render_markdown(&recorded.run()));
}

#[test]
fn errors() {
    let place = Place::with_texts();
    place.tokens("tokens.json", 40);
    let gaps = [("Refuted", "Unclear"), ("1.0, ", ""), (", \"uniform+oracle\"", ""), ("recency", "recensy")];
    place.write("gaps.toml", definition(&gaps));
    let errors: Vec<String> = REFUSED.iter().map(|line| shown(&place, line)).collect();
    for error in &errors {
        assert!(error.contains("\nerror: ") && !error.ends_with("exit code 0\n"), "{error}");
    }
    check("errors", &errors.join("\n"));
}

/// A snapshot that no test reads any more is an error, and so are snapshots that are large.
#[test]
fn the_folder_has_only_these_snapshots() {
    let names = commands().into_iter().map(|name| format!("help-{name}"));
    let lists = LISTS.iter().map(|topic| format!("list-{topic}"));
    let others = ["help", "report-terminal", "report-markdown", "errors"].map(str::to_owned);
    let expected: BTreeSet<String> =
        names.chain(lists).chain(others).map(|name| format!("{name}.snap")).collect();
    let files = fs::read_dir(repository("crates/cli/tests/snapshots")).unwrap().map(|file| file.unwrap());
    let files: Vec<_> = files.filter(|file| file.path().extension().is_some_and(|e| e == "snap")).collect();
    let found: BTreeSet<String> = files.iter().map(|file| file.file_name().into_string().unwrap()).collect();
    assert_eq!(found, expected);
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes < 400_000, "{bytes} bytes of snapshots");
}
