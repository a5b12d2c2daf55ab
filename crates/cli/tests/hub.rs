//! Models by name: downloaded once, used without network, and refused when their bytes are not those
//! announced.

mod support;

use std::{
    fs,
    process::{Command, Output},
};

use serde_json::Value;
use support::{
    Place,
    hub::{Files, Hub},
    model::{MODEL, original},
};

const GREEDY: [&str; 5] = ["--prompt", "the house was", "--greedy", "--max-tokens", "12"];

fn files() -> Files {
    ["config.json", "tokenizer.json", "model.safetensors"]
        .map(|name| (name, fs::read(original(name)).unwrap()))
        .into()
}

/// Returns a command with its hub cache in `place` and without the user's settings.
fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    let theirs = std::env::vars_os().map(|variable| variable.0);
    for name in
        theirs.filter(|name| name.to_string_lossy().starts_with("HF_") || name == "TRANSFORMERS_OFFLINE")
    {
        command.env_remove(name);
    }
    command.env_remove("HUGGINGFACE_HUB_CACHE").env("HF_HOME", place.path("home"));
    command
}

fn online(place: &Place, hub: &Hub, arguments: &[&str]) -> Output {
    command(place, arguments).env("HF_ENDPOINT", hub.endpoint()).output().unwrap()
}

/// Runs a command offline. If it did ask the server, it would fail, because nobody listens at port 1.
fn offline(place: &Place, arguments: &[&str]) -> Output {
    let endpoint = "http://127.0.0.1:1";
    command(place, arguments).env("HF_HUB_OFFLINE", "1").env("HF_ENDPOINT", endpoint).output().unwrap()
}

#[track_caller]
fn document(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(output: &Output, says: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    // Lines of progress may precede the error.
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && output.stdout.is_empty(), "{said}");
    assert!(said.ends_with(&format!("{}\n", errors[0])), "{said}");
    for part in says {
        assert!(errors[0].contains(part), "no {part}: {said}");
    }
}

fn generate(model: &str) -> Vec<&str> {
    [&["generate", "--model", model, "--json"], &GREEDY[..]].concat()
}

#[test]
fn a_model_is_downloaded_once() {
    let place = Place::new();
    let expected = place.json(&[&["generate", "--model", MODEL], &GREEDY[..]].concat());
    let hub = Hub::start(files(), "");
    let first = document(&online(&place, &hub, &generate("org/tiny")));
    assert_eq!((&first["tokens"], &first["text"]), (&expected["tokens"], &expected["text"]));
    assert_eq!(first["model"], "tiny");
    // A later run asks only for the commit, not for files.
    let before = hub.requests();
    let again = document(&online(&place, &hub, &generate("org/tiny")));
    assert_eq!((&again["tokens"], hub.requests()), (&expected["tokens"], before + 1));
    drop(hub);
    for model in ["org/tiny", "org/tiny@main"] {
        assert_eq!(document(&offline(&place, &generate(model)))["tokens"], expected["tokens"], "{model}");
    }
    let inspected = document(&offline(&place, &["inspect", "org/tiny", "--summary", "--json"]));
    assert_eq!(inspected["model"], "tiny");
    let half = place.entries().into_iter().find(|path| path.to_string_lossy().ends_with(".incomplete"));
    assert_eq!(half, None);
}

#[test]
fn a_gguf_file_is_downloaded() {
    let place = Place::new();
    place.text(&["convert", MODEL, "made.gguf", "--to", "i2_s"]);
    let hub = Hub::start(vec![("ggml-i2_s.gguf", fs::read(place.path("made.gguf")).unwrap())], "");
    let expected = place.json(&[&["generate", "--model", MODEL], &GREEDY[..]].concat());
    for model in ["org/tiny", "org/tiny/ggml-i2_s.gguf"] {
        let found = document(&online(&place, &hub, &generate(model)));
        assert_eq!((&found["tokens"], &found["model"]), (&expected["tokens"], &"tiny".into()), "{model}");
    }
}

#[test]
fn a_model_that_is_not_cached() {
    let place = Place::new();
    let says = [
        "there is no file or folder org/tiny here",
        "HF_HUB_OFFLINE is set",
        "not in the cache",
        ": unset it once",
    ];
    refused(&offline(&place, &generate("org/tiny")), &says);
    let unreachable = command(&place, &generate("org/tiny")).env("HF_ENDPOINT", "nonsense").output().unwrap();
    refused(&unreachable, &["HF_ENDPOINT", "nonsense", "https://huggingface.co"]);
}

#[test]
fn files_with_a_wrong_checksum_are_refused() {
    let place = Place::new();
    let hub = Hub::start(files(), "model.safetensors");
    let says = ["`model.safetensors` of org/tiny", "SHA-256", "the download was deleted"];
    refused(&online(&place, &hub, &generate("org/tiny")), &says);
    let whole = fs::read(original("model.safetensors")).unwrap().len() as u64;
    let mut cached = place.entries().into_iter().filter(|path| path.starts_with(place.path("home")));
    let large = cached.find(|path| fs::metadata(path).is_ok_and(|m| m.len() == whole));
    assert_eq!(large, None, "the damaged file is kept");
    // With the right bytes, the same cache works.
    let hub = Hub::start(files(), "");
    assert!(!document(&online(&place, &hub, &generate("org/tiny")))["tokens"].as_array().unwrap().is_empty());
}

#[test]
fn missing_models_and_files_are_refused() {
    let place = Place::new();
    let hub = Hub::start(files(), "");
    refused(&online(&place, &hub, &generate("org/other")), &["org/other", "127.0.0.1"]);
    refused(&online(&place, &hub, &generate("org/tiny/weights.gguf")), &["weights.gguf"]);
    let hub = Hub::start(files().into_iter().filter(|file| file.0 != "config.json").collect(), "");
    refused(&online(&place, &hub, &generate("org/tiny")), &["org/tiny", "has no file `config.json`"]);
}
