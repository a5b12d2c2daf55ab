//! `bitkv doctor`: the document, the table, the exit code.

mod support;

use serde_json::Value;
use support::{
    Place, count, keys, list,
    model::{BUILT_IN, Copy, MODEL, config, size},
};

/// Returns the JSON document of a model with faults, and the message on standard error.
fn faulty(place: &Place, arguments: &[&str]) -> (Value, String) {
    let output = place.run(&[&["doctor"], arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    (serde_json::from_slice(&output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_sound_model_has_a_document_without_faults() {
    let place = Place::new();
    let document = place.json(&["doctor", MODEL]);
    assert_eq!(keys(&document), ["faults", "findings", "model"]);
    assert_eq!((&document["model"], count(&document["faults"])), (&MODEL.into(), 0));
    let findings = list(&document["findings"]);
    assert!(findings.len() >= 5, "{document}");
    for finding in findings {
        assert_eq!(keys(finding), ["check", "found", "means", "place", "remedy", "severity"]);
        assert_eq!(finding["severity"], "note", "{finding}");
    }
    let text = place.text(&["doctor", MODEL]);
    assert!(
        text.starts_with("note     ") && text.contains("\n  found  ") && text.contains("\n  to do  "),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 101), "{text}");
}

#[test]
fn faults_come_first_and_the_exit_code_is_1() {
    let place = Place::new();
    let copy = Copy::new(&place, "holed");
    copy.change_tensors(|tensors| {
        let tensor = tensors.get_mut("model.embed_tokens.weight").unwrap();
        let length = tensor.data.len();
        tensor.data[length / 2..].fill(0);
    });
    let (document, message) = faulty(&place, &["holed"]);
    assert_eq!(message, "error: doctor found 1 fault in holed\n");
    assert_eq!(count(&document["faults"]), 1);
    let first = &list(&document["findings"])[0];
    assert_eq!((&first["check"], &first["severity"]), (&"embedding-holes".into(), &"fault".into()));
    assert!(first["found"].as_str().unwrap().contains(&format!(
        "{} of {}",
        size("vocab_size") / 2,
        size("vocab_size")
    )));
    let output = place.run(&["doctor", "holed"]);
    assert!(output.stdout.starts_with(b"fault    embedding-holes: model.embed_tokens.weight\n"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn files_that_cannot_be_opened_are_a_finding() {
    let place = Place::new();
    Copy::new(&place, "broken").with("model.safetensors", [0; 100]);
    let (document, message) = faulty(&place, &["broken"]);
    assert_eq!(message, "error: doctor found 1 fault in broken\n");
    let [finding] = list(&document["findings"]) else { panic!("{document}") };
    assert_eq!(finding["check"], "open");
    assert!(finding["found"].as_str().unwrap().contains("broken/model.safetensors"), "{finding}");
}

#[test]
fn masters_show_the_direction_of_scales() {
    let place = Place::new();
    let mut reversed = config();
    reversed["quantization_config"]["linear_class"] = "bitlinear".into();
    Copy::new(&place, "reversed").with("config.json", reversed.to_string());
    let (document, message) = faulty(&place, &["reversed", "--masters", MODEL]);
    let faults: Vec<&Value> = list(&document["findings"])
        .iter()
        .filter(|f| f["severity"] == "fault")
        .map(|f| &f["check"])
        .collect();
    assert!(faults.contains(&&Value::from("masters-scale")), "{document}");
    assert!(faults.contains(&&Value::from("scale-direction")), "{document}");
    assert_eq!(message, format!("error: doctor found {} faults in reversed\n", faults.len()));
    let equal = place.json(&["doctor", MODEL, "--masters", MODEL]);
    assert!(list(&equal["findings"]).iter().any(|f| f["check"] == "masters" && f["severity"] == "note"));
}

#[test]
fn missing_and_broken_models_are_refused() {
    let place = Place::new();
    place.refuses(&["doctor", "nowhere"], &["there is no model nowhere: use", BUILT_IN]);
    place.refuses(&["doctor", MODEL, "--masters", "nowhere"], &["there is no model nowhere: use"]);
    Copy::new(&place, "broken").with("model.safetensors", [0; 100]);
    let says = ["the master weights for", MODEL, "cannot be opened", "broken/model.safetensors"];
    place.refuses(&["doctor", MODEL, "--masters", "broken"], &says);
    place.refuses(&["doctor", MODEL, "--as", "plain-llama"], &["leave out --as"]);
}
