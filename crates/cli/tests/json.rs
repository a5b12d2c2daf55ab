//! Every command takes `--json`, and then prints one JSON document on standard output.

mod support;

use std::fs;

use serde_json::Value;
use support::{
    Place,
    grid::{RUN, definition},
    model::MODEL,
};

/// The commands whose output has a format that other programs read.
const EXCEPTIONS: [&str; 2] = ["completions", "man"];

#[test]
fn every_command_has_the_option() {
    for command in bitkv_cli::command_line().get_subcommands() {
        let has = command.get_arguments().any(|argument| argument.get_long() == Some("json"));
        let is_exception = EXCEPTIONS.contains(&command.get_name());
        assert_eq!(has, !is_exception, "{}", command.get_name());
        let about = command.get_long_about().map(ToString::to_string).unwrap_or_default();
        assert_eq!(about.contains("no `--json`"), is_exception, "{} says why", command.get_name());
    }
}

/// Returns the only document on standard output of a command with `--json`.
#[track_caller]
fn document(place: &Place, line: &str) -> Value {
    let arguments: Vec<&str> = line.split(' ').chain(["--json"]).collect();
    let output = place.run(&arguments);
    let (shown, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{line}: {said}");
    let mut documents = serde_json::Deserializer::from_str(&shown).into_iter::<Value>();
    let first = documents.next().unwrap_or_else(|| panic!("{line} prints nothing")).unwrap();
    assert!(
        documents.next().is_none() && shown.ends_with('\n'),
        "{line} prints more than a document: {shown}"
    );
    first
}

/// All commands except those that take minutes: `verify`, `bench` and `train` have their own tests.
#[test]
fn a_run_prints_exactly_one_document() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[]));
    place.tokens("tokens.json", 40);
    fs::create_dir(place.path("experiments")).unwrap();
    fs::copy(place.path("small.toml"), place.path("experiments/small.toml")).unwrap();
    let sweep = format!(
        "sweep --model {MODEL} --policies snapkv --ratios 2x --texts texts --context-tokens 64 --scored-tokens 16"
    );
    let tokens = format!("--model {MODEL} --tokens tokens.json");
    for (line, key) in [
        ("list".to_owned(), "policies"),
        ("list policies snapkv".to_owned(), "preset"),
        ("memory --model bitnet_b1_58-large".to_owned(), "rows"),
        (format!("profile {tokens}"), "model"),
        (format!("plan {tokens} --policy snapkv --budget 0.5"), "policy"),
        (format!("generate {tokens} --max-tokens 2"), "tokens"),
        (format!("trace {tokens}"), "model"),
        (format!("inspect {MODEL}"), "tensors"),
        (format!("doctor {MODEL}"), "findings"),
        ("random --shape tiny-gqa --out random".to_owned(), "tensor_bytes"),
        (format!("convert {MODEL} out.gguf --to i2_s"), "tensor_bytes_written"),
        ("run --example".to_owned(), "definition"),
        ("run small.toml --dry-run".to_owned(), "rows"),
        (format!("run small.toml --out {RUN}"), "rows"),
        (format!("{sweep} --dry-run"), "rows"),
        (format!("report {RUN}"), "claims"),
        (format!("compare {RUN} {RUN}"), "groups"),
    ] {
        let document = document(&place, &line);
        assert!(document.get(key).is_some(), "{line} has no {key}: {document}");
    }
    assert!(document(&place, "run --list").is_array());
}
